import { describe, expect, test } from "vitest";
import { parseDiskName, parsePointId } from "../../../../shared/core/ids.ts";
import { addMs } from "../../../../shared/core/timestamp.ts";
import { ulid } from "../../../../shared/core/ulid.ts";
import type { ManifestBody } from "../../../../shared/core/vault/manifest.ts";
import { manifestName } from "../../../../shared/core/vault/names.ts";
import type { RestoreChoice } from "../../../../shared/operations/restore/choose-restore.ts";
import { chooseRestore } from "../../../../shared/operations/restore/choose-restore.ts";
import { writeTombstone } from "../../../../shared/operations/vault/write-tombstone.ts";
import { backUp, hourMs, kib, makeVault, prose, signal } from "../../../support/vault/vault-fixture.ts";

const os = parseDiskName("os");
const data = parseDiskName("data");
const logs = parseDiskName("logs");

/** Three points an hour apart; only the last one has the disk "logs". */
async function threePoints(more: readonly Partial<ManifestBody>[] = []) {
  const made = await makeVault();
  const points = [];
  for (const [at, extra] of [{}, {}, { logs: prose("logs", kib) }].entries()) {
    const disks = { os: prose(`os ${at}`, kib), data: prose(`data ${at}`, kib), ...extra };
    points.push(await backUp(made, "web01", disks, more[at]));
    made.clock.advance(hourMs);
  }
  const [first, second, third] = points;
  if (first === undefined || second === undefined || third === undefined) throw new Error("There are no three points.");
  const choose = (choice: Partial<RestoreChoice> = {}) =>
    chooseRestore(
      made.vault,
      first.vmId,
      { point: { kind: "latest" }, acceptMixedPoints: false, acceptUsnRollbackRisk: false, ...choice },
      signal,
    );
  return { ...made, first, second, third, choose };
}

describe("Choosing what to restore", () => {
  test("takes all disks of the newest point, a named one, or the newest before a time", async () => {
    const { first, second, third, choose } = await threePoints();
    const whole = await choose();
    expect(whole.manifest).toEqual(third);
    expect(whole.disks).toEqual(third.disks.map((disk) => ({ manifest: third, disk })));
    expect((await choose({ point: { kind: "point", pointId: first.pointId } })).manifest).toEqual(first);
    expect((await choose({ point: { kind: "at", at: second.snapshotAt } })).manifest).toEqual(second);
    expect((await choose({ point: { kind: "at", at: addMs(second.snapshotAt, -1) } })).manifest).toEqual(first);
  });

  test("says why there is no such point", async () => {
    const { vault, first, choose } = await threePoints();
    await expect(choose({ point: { kind: "at", at: addMs(first.snapshotAt, -1) } })).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining(`Its oldest is of ${first.snapshotAt}.`),
    });
    const pointId = parsePointId(ulid(0, new Uint8Array(10)));
    await expect(choose({ point: { kind: "point", pointId } })).rejects.toMatchObject({ code: "not-found" });
    await writeTombstone(vault, { ...first, reason: "test", held: false }, signal);
    await expect(choose({ point: { kind: "point", pointId: first.pointId } })).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining("has expired"),
    });
  });

  test("takes the disks that are named, in that order, and tells those there are where one is unknown", async () => {
    const { first, choose } = await threePoints();
    const some = await choose({ disks: [{ name: data }, { name: os }] });
    expect(some.disks.map(({ disk }) => disk.name)).toEqual(["data", "os"]);
    const point = { kind: "point", pointId: first.pointId } as const;
    await expect(choose({ point, disks: [{ name: logs }] })).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining("it has os, data"),
    });
  });

  test("refuses a disk that is named twice, and no disk at all", async () => {
    const { first, choose } = await threePoints();
    for (const disks of [[], [{ name: os }, { name: os }], [{ name: os }, { name: os, pointId: first.pointId }]]) {
      await expect(choose({ disks, acceptMixedPoints: true })).rejects.toMatchObject({ code: "bad-input" });
    }
  });

  test("refuses disks of different points, naming the points and their times, until that is accepted", async () => {
    const { first, third, choose } = await threePoints();
    const disks = [{ name: os, pointId: first.pointId }, { name: data }];
    await expect(choose({ disks })).rejects.toMatchObject({
      code: "refused",
      message: expect.stringMatching(
        `os of ${first.pointId} .${first.snapshotAt}., data of ${third.pointId} .${third.snapshotAt}.`,
      ),
    });
    const mixed = await choose({ disks, acceptMixedPoints: true });
    expect(mixed.manifest).toEqual(third);
    expect(mixed.disks.map(({ manifest, disk }) => [disk.name, manifest.pointId])).toEqual([
      ["os", first.pointId],
      ["data", third.pointId],
    ]);
  });

  test("is no mix where every disk names the same point", async () => {
    const { first, choose } = await threePoints();
    const disks = [os, data].map((name) => ({ name, pointId: first.pointId }));
    expect((await choose({ disks })).manifest).toEqual(first);
  });

  test("refuses a point at risk of USN rollback until that is accepted, also as one of a mix", async () => {
    const { first, choose } = await threePoints([{ safety: { usnRollbackRisk: true, note: "Off and old." } }]);
    const point = { kind: "point", pointId: first.pointId } as const;
    const refused = { code: "refused", message: expect.stringContaining("Off and old.") };
    await expect(choose({ point })).rejects.toMatchObject(refused);
    expect((await choose({ point, acceptUsnRollbackRisk: true })).manifest).toEqual(first);
    const disks = [{ name: os, pointId: first.pointId }, { name: data }];
    await expect(choose({ disks, acceptMixedPoints: true })).rejects.toMatchObject(refused);
    expect((await choose({ disks, acceptMixedPoints: true, acceptUsnRollbackRisk: true })).disks).toHaveLength(2);
    expect((await choose({ disks: [{ name: os }] })).disks).toHaveLength(1);
  });

  test("passes over a damaged manifest, and fails where that one was asked for", async () => {
    const { store, second, third, choose } = await threePoints();
    await store.remove(manifestName(third.vmId, third.pointId), {}, signal);
    await store.create(manifestName(third.vmId, third.pointId), new Uint8Array(Buffer.from("{}")), signal);
    expect((await choose()).manifest).toEqual(second);
    expect((await choose({ point: { kind: "at", at: third.snapshotAt } })).manifest).toEqual(second);
    await expect(choose({ point: { kind: "point", pointId: third.pointId } })).rejects.toMatchObject({
      code: "vault-corrupt",
    });
  });
});
