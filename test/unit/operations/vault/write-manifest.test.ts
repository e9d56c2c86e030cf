import { describe, expect, test } from "vitest";
import { attemptId } from "../../../../shared/core/ids.ts";
import { timestamp } from "../../../../shared/core/timestamp.ts";
import { longestSessionMs } from "../../../../shared/core/vault/limits.ts";
import { manifestName, sealName } from "../../../../shared/core/vault/names.ts";
import { isWhole } from "../../../../shared/operations/vault/findings.ts";
import {
  listRestorePoints,
  newestRestorePoint,
  readManifest,
} from "../../../../shared/operations/vault/list-restore-points.ts";
import { sealManifest } from "../../../../shared/operations/vault/seal-manifest.ts";
import { verifyVault } from "../../../../shared/operations/vault/verify-vault.ts";
import { commitManifest } from "../../../../shared/operations/vault/write-manifest.ts";
import { writeTombstone } from "../../../../shared/operations/vault/write-tombstone.ts";
import type { VaultStore } from "../../../../shared/ports/vault-store.ts";
import {
  backUp,
  dayMs,
  hourMs,
  kib,
  makeVault,
  manifestBody,
  newBackup,
  noise,
  signal,
  writeDisk,
} from "../../../support/vault/vault-fixture.ts";
import type { TestVault } from "../../../support/vault/vault-fixture.ts";

async function prepared(made: TestVault, vm = "web01") {
  const backup = newBackup(vm, made.clock.now());
  const disk = await writeDisk(made, backup, "os", noise(`os at ${made.clock.now()}`, 300 * kib));
  return manifestBody(made, backup, [disk]);
}

describe("Committing a restore point", () => {
  test("makes it stand, sealed, and whole", async () => {
    const made = await makeVault();
    const body = await prepared(made);
    const { kind, manifest } = await commitManifest(made.vault, body, {}, signal);
    expect(kind).toBe("committed");
    expect(manifest).toMatchObject(body);
    expect(await readManifest(made.vault, body.vmId, body.pointId, signal)).toMatchObject({
      kind: "standing",
      sealed: true,
    });
    expect(await listRestorePoints(made.vault, body.vmId, signal)).toEqual([
      { vmId: body.vmId, pointId: body.pointId, manifestLastModified: timestamp(made.clock.now()), sealed: true },
    ]);
    const report = await verifyVault(made.vault, { readData: true }, signal);
    expect(report.findings).toEqual([]);
  });

  test("twice for the same attempt is the same restore point, with a commit time of its own each", async () => {
    const made = await makeVault();
    const body = await prepared(made);
    const first = await commitManifest(made.vault, body, {}, signal);
    const later = { ...body, committedAt: timestamp(made.clock.now() + hourMs) };
    const second = await commitManifest(made.vault, later, {}, signal);
    expect(second).toEqual({ kind: "already", manifest: first.manifest });
  });

  test("at once by several for the same attempt gives all of them the same restore point", async () => {
    const made = await makeVault();
    const body = await prepared(made);
    const all = await Promise.all(
      [0, 1, 2].map((at) => commitManifest(made.vault, { ...body, committedAt: timestamp(at) }, {}, signal)),
    );
    expect(new Set(all.map((one) => one.manifest.mac)).size).toBe(1);
    expect(all.filter((one) => one.kind === "committed")).toHaveLength(1);
  });

  test("in the place of another attempt is a conflict", async () => {
    const made = await makeVault();
    const body = await prepared(made);
    await commitManifest(made.vault, body, {}, signal);
    const other = { ...body, attemptId: attemptId(body.runId, 2) };
    await expect(commitManifest(made.vault, other, {}, signal)).rejects.toMatchObject({ code: "conflict" });
  });

  test("is refused once the session is more than a day old, and writes nothing", async () => {
    const made = await makeVault();
    const body = await prepared(made);
    made.clock.advance(longestSessionMs + 1000);
    await expect(commitManifest(made.vault, body, {}, signal)).rejects.toMatchObject({ code: "session-too-old" });
    expect(made.store.contentOf(manifestName(body.vmId, body.pointId))).toBeUndefined();
    // Control: on the very day it counts.
    const young = await makeVault();
    const youngBody = await prepared(young);
    young.clock.advance(longestSessionMs);
    expect((await commitManifest(young.vault, youngBody, {}, signal)).kind).toBe("committed");
  });

  test("that reaches the service too late is void, for its writer and for every reader, and is not sealed", async () => {
    const made = await makeVault();
    await backUp(made, "web01", { os: noise("first", 1000) });
    made.clock.advance(hourMs);
    const body = await prepared(made);
    // The writer's last check was in time; its write arrives two days later.
    const slow = Object.assign(Object.create(made.store) as VaultStore, {
      create: async (name: string, content: Uint8Array, s: AbortSignal) => {
        if (name.endsWith("/manifest.json")) made.clock.advance(2 * dayMs);
        return made.store.create(name, content, s);
      },
    });
    for (const method of ["put", "read", "head", "list", "refresh"] as const) {
      Object.assign(slow, { [method]: made.store[method].bind(made.store) });
    }
    const committing = commitManifest({ ...made.vault, store: slow }, body, {}, signal);
    await expect(committing).rejects.toMatchObject({ code: "session-too-old" });
    expect((await readManifest(made.vault, body.vmId, body.pointId, signal)).kind).toBe("void");
    expect(made.store.contentOf(sealName(body.vmId, body.pointId))).toBeUndefined();
    expect(await sealManifest(made.vault, body.vmId, body.pointId, signal)).toBe("void");
    expect((await newestRestorePoint(made.vault, body.vmId, signal))?.pointId).not.toBe(body.pointId);
    // The next one follows the point before the void one, and the chain is whole.
    await backUp(made, "web01", { os: noise("third", 1000) });
    const report = await verifyVault(made.vault, {}, signal);
    expect(report.findings.map((one) => [one.code, one.severity])).toEqual([["manifest-void", "warning"]]);
    expect(isWhole(report)).toBe(true);
  });

  test("is refused where the parent expired more than a day ago, by its tombstone or by what the caller knows", async () => {
    const made = await makeVault();
    const parent = await backUp(made, "web01", { os: noise("a", 1000) });
    made.clock.advance(hourMs);
    await backUp(made, "web01", { os: noise("b", 1000) });
    const expiry = { vmId: parent.vmId, pointId: parent.pointId, reason: "test", held: false };
    await writeTombstone(made.vault, expiry, signal);
    made.clock.advance(longestSessionMs + 1000);
    const body = { ...(await prepared(made)), parentPointId: parent.pointId };
    await expect(commitManifest(made.vault, body, {}, signal)).rejects.toMatchObject({ code: "session-too-old" });
    const { parentPointId: _, ...orphan } = body;
    expect((await commitManifest(made.vault, orphan, {}, signal)).kind).toBe("committed");
  });

  test("chains each to the newest before it that counts, expired or not", async () => {
    const made = await makeVault();
    const first = await backUp(made, "web01", { os: noise("a", 1000) });
    made.clock.advance(hourMs);
    const second = await backUp(made, "web01", { os: noise("b", 1000) });
    await writeTombstone(
      made.vault,
      { vmId: first.vmId, pointId: first.pointId, reason: "retention", held: false },
      signal,
    );
    made.clock.advance(hourMs);
    await backUp(made, "db01", { os: noise("c", 1000) });
    const third = await backUp(made, "web01", { os: noise("d", 1000) });
    expect([first.previousMac, second.previousMac, third.previousMac]).toEqual([undefined, first.mac, second.mac]);
    expect((await verifyVault(made.vault, {}, signal)).findings).toEqual([]);
  });

  test("is not stopped by a damaged restore point before it", async () => {
    const made = await makeVault();
    const first = await backUp(made, "web01", { os: noise("a", 1000) });
    made.clock.advance(hourMs);
    const second = await backUp(made, "web01", { os: noise("b", 1000) });
    await made.store.put(manifestName(second.vmId, second.pointId), Buffer.from("{}"), signal);
    made.clock.advance(hourMs);
    const third = await backUp(made, "web01", { os: noise("c", 1000) });
    expect(third.previousMac).toBe(first.mac);
    expect((await verifyVault(made.vault, {}, signal)).findings.map((one) => one.code)).toEqual(["manifest-corrupt"]);
  });

  test("of what no reader would take is refused before it is written", async () => {
    const made = await makeVault();
    const body = { ...(await prepared(made)), disks: [] };
    await expect(commitManifest(made.vault, body, {}, signal)).rejects.toMatchObject({
      code: "internal",
      details: { field: "disks" },
    });
    expect(made.store.contentOf(manifestName(body.vmId, body.pointId))).toBeUndefined();
  });
});

describe("A commit whose writer dies", () => {
  /** Calls of the store that a commit makes, in order: it dies before or after each. */
  const methods = ["create", "put", "read", "head"] as const;

  function dying(made: TestVault, at: number, when: "before" | "after") {
    let calls = 0;
    const store = Object.create(made.store) as VaultStore;
    for (const method of methods) {
      Object.assign(store, {
        [method]: async (...args: unknown[]) => {
          calls += 1;
          if (calls === at && when === "before") throw new Error("died");
          const call = made.store[method].bind(made.store) as unknown as (...all: unknown[]) => Promise<unknown>;
          const answer = await call(...args);
          if (calls === at && when === "after") throw new Error("died");
          return answer;
        },
      });
    }
    Object.assign(store, { list: made.store.list.bind(made.store) });
    return { vault: { ...made.vault, store }, reached: () => calls >= at };
  }

  test("at any call leaves no restore point or a good one, and the next try ends with a good one, sealed", async () => {
    let sweeps = 0;
    for (let at = 1; ; at++) {
      let reached = false;
      for (const when of ["before", "after"] as const) {
        const made = await makeVault({ kind: "none" });
        await backUp(made, "web01", { os: noise("a", 1000) });
        made.clock.advance(hourMs);
        const body = await prepared(made);
        const { vault, reached: wasReached } = dying(made, at, when);
        const outcome = await commitManifest(vault, body, {}, signal).catch((error: unknown) => error);
        reached = wasReached();
        if (!reached) continue;
        expect(outcome).toMatchObject({ message: "died" });
        sweeps += 1;
        expect(
          (await verifyVault(made.vault, { readData: true }, signal)).findings.filter(
            (one) => one.severity === "error",
          ),
        ).toEqual([]);
        await commitManifest(made.vault, body, {}, signal);
        expect((await verifyVault(made.vault, { readData: true }, signal)).findings).toEqual([]);
        expect(await readManifest(made.vault, body.vmId, body.pointId, signal)).toMatchObject({
          kind: "standing",
          sealed: true,
        });
      }
      if (!reached) break;
    }
    // A commit makes nine calls or so: fewer would mean that the sweep swept nothing.
    expect(sweeps).toBeGreaterThanOrEqual(14);
  });

  test("between manifest and seal is sealed by the reconciler, once", async () => {
    const made = await makeVault();
    const manifest = await backUp(made, "web01", { os: noise("a", 1000) });
    const { vmId, pointId } = manifest;
    await made.store.remove(sealName(vmId, pointId), {}, signal);
    made.clock.advance(3 * dayMs);
    expect(await sealManifest(made.vault, vmId, pointId, signal)).toBe("sealed");
    expect(await sealManifest(made.vault, vmId, pointId, signal)).toBe("already");
    expect((await readManifest(made.vault, vmId, pointId, signal)).kind).toBe("standing");
  });
});
