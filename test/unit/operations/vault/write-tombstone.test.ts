import { describe, expect, test } from "vitest";
import { manifestName } from "../../../../shared/core/vault/names.ts";
import { listRestorePoints } from "../../../../shared/operations/vault/list-restore-points.ts";
import { verifyVault } from "../../../../shared/operations/vault/verify-vault.ts";
import { writeTombstone } from "../../../../shared/operations/vault/write-tombstone.ts";
import { timestamp } from "../../../../shared/core/timestamp.ts";
import { backUp, hourMs, makeVault, noise, signal } from "../../../support/vault/vault-fixture.ts";

async function twoPoints() {
  const made = await makeVault();
  const old = await backUp(made, "web01", { os: noise("a", 1000) });
  made.clock.advance(hourMs);
  const recent = await backUp(made, "web01", { os: noise("b", 1000) });
  const expire = (point: typeof old, more: object = {}) =>
    writeTombstone(
      made.vault,
      { vmId: point.vmId, pointId: point.pointId, reason: "retention", held: false, ...more },
      signal,
    );
  return { ...made, old, recent, expire };
}

describe("Expiring a restore point", () => {
  test("writes its tombstone once, whose time is the service's", async () => {
    const { vault, clock, old, expire } = await twoPoints();
    expect(await expire(old)).toBe("written");
    const at = clock.now();
    clock.advance(hourMs);
    expect(await expire(old)).toBe("already");
    const points = await listRestorePoints(vault, old.vmId, signal);
    expect(points.map((point) => point.tombstonedAt)).toEqual([timestamp(at), undefined]);
    expect((await verifyVault(vault, {}, signal)).findings).toEqual([]);
  });

  test("is refused for the newest good one, for one on hold, and for one that is not there", async () => {
    const { old, recent, expire, store } = await twoPoints();
    await expect(expire(recent)).rejects.toMatchObject({ code: "refused" });
    await expect(expire(old, { held: true })).rejects.toMatchObject({ code: "refused" });
    await expect(expire({ ...old, pointId: old.runId.replace(/.$/, "Z") as typeof old.pointId })).rejects.toMatchObject(
      {
        code: "not-found",
      },
    );
    expect(store.names().filter((name) => name.includes("tombstone"))).toEqual([]);
  });

  test("is refused for the newest that is good where a newer one is damaged", async () => {
    const { old, recent, expire, store } = await twoPoints();
    await store.put(manifestName(recent.vmId, recent.pointId), Buffer.from("{}"), signal);
    await expect(expire(old)).rejects.toMatchObject({ code: "refused" });
  });

  test("takes the newest too where the whole VM is given up", async () => {
    const { recent, expire } = await twoPoints();
    expect(await expire(recent, { newest: "allow" })).toBe("written");
  });
});
