/** Trusted launch: firmware variables and virtual TPM are kept with the OS disk, or their absence is told. */
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startAzurite, type Azurite } from "../../../local/azurite/azurite-process.ts";
import { ServiceError } from "../../../local/arm/service-error.ts";
import type { Manifest } from "../../../shared/core/vault/manifest.ts";
import { vmIdOf } from "../../../shared/core/vm.ts";
import { newestRestorePoint } from "../../../shared/operations/vault/list-restore-points.ts";
import { readGuestState } from "../../../shared/operations/vault/read-guest-state.ts";
import { verifyVault } from "../../../shared/operations/vault/verify-vault.ts";
import {
  mib,
  startManagedBackups,
  succeeded,
  webVm,
  type ManagedBackups,
  type WebOptions,
} from "../../support/managed-backups.ts";

const never = new AbortController().signal;
const trusted = { kind: { securityType: "TrustedLaunch" } } as const;

let vaultRegion: Azurite;
beforeAll(async () => {
  vaultRegion = await startAzurite({ accounts: [{ name: "vaultacct", key: randomBytes(64).toString("base64") }] });
});
afterAll(() => vaultRegion.stop());

let backups: ManagedBackups;
beforeEach(async () => {
  backups = await startManagedBackups(vaultRegion);
});
afterEach(() => backups.stop());

const vault = () => backups.pipeline.vault;

async function newest(): Promise<Manifest> {
  const point = await newestRestorePoint(vault(), vmIdOf(webVm), never);
  if (point === undefined) throw new Error("There is no restore point.");
  return point.manifest;
}

describe("The guest state of a trusted-launch VM", () => {
  test.each([
    ["a restore point", { disks: 2, wanted: "application" }],
    ["an incremental snapshot", { disks: 1, wanted: "crash" }],
  ] as const)("is kept by %s with its OS disk, byte for byte, and again at the next backup", async (_, options) => {
    const vm = await backups.web({ ...options, ...trusted });
    for (const begin of [() => backups.backup(), () => backups.nextScheduled()]) {
      await vm.write(0, 4 * mib, randomBytes(4096));
      const run = succeeded(await begin());
      const { disks } = await newest();
      const [os, ...data] = disks;
      if (os?.guestState === undefined) throw new Error("It was not kept.");
      expect(data.map(({ guestState }) => guestState)).toEqual(data.map(() => undefined));
      const kept = await readGuestState(vault(), os.guestState, never);
      expect(Buffer.from(kept).equals(await vm.readGuestState())).toBe(true);
      await backups.expectHeld(vm);
      await backups.expectLeft(run);
    }
    expect(await verifyVault(vault(), { readData: true }, never)).toMatchObject({ findings: [] });
  });

  test("costs three requests to ARM, and the backup of another VM none", async () => {
    const requestsOf = async (options: WebOptions) => {
      const one = await startManagedBackups(vaultRegion);
      await one.web(options);
      one.region.requests.length = 0;
      succeeded(await one.backup());
      await one.stop();
      return one.region.requests.length;
    };
    const others = await requestsOf({});
    expect(await requestsOf(trusted)).toBe(others + 3);
    await backups.web();
    succeeded(await backups.backup());
    expect((await newest()).disks.map(({ guestState }) => guestState)).toEqual([undefined, undefined]);
  });

  test("that the platform does not share is told by the restore point, which stands all the same", async () => {
    const vm = await backups.web(trusted);
    const { resources } = backups.region.server.arm;
    const { guestState: _, ...without } = resources.require(vm.diskIds[0] ?? "");
    resources.put(without);
    const run = succeeded(await backups.backup());
    const { consistency, disks } = await newest();
    expect(consistency.note).toContain("virtual TPM's state was not kept");
    expect(disks[0]?.guestState).toBeUndefined();
    const { items } = await backups.pipeline.context.catalog.runEvents.list(
      { where: { runId: run.runId }, limit: 100 },
      never,
    );
    expect(items.map(({ value }) => value.name)).toContain("guest-state-not-kept");
    await backups.expectLeft(run);
  });

  test.each([
    ["throttled", new ServiceError(429, "TooManyRequests", "Too many.", { "Retry-After": "1200" })],
    ["unavailable", new ServiceError(503, "ServiceUnavailable", "Not now.")],
  ])("is not given up where the platform is %s", async (_, error) => {
    await backups.web(trusted);
    const fault = backups.region.server.arm.faults.planRequest(/^POST .*beginGetAccess/i, error);
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(1);
    expect((await newest()).disks[0]?.guestState).toBeDefined();
    await backups.expectLeft(run);
  });

  test.each([
    [400, "InvalidParameter"],
    [409, "OperationNotAllowed"],
  ])("is asked for again where the platform refuses it once (%i %s), and kept", async (status, code) => {
    const vm = await backups.web(trusted);
    const error = new ServiceError(status, code, "Not now.");
    const fault = backups.region.server.arm.faults.planRequest(/^POST .*beginGetAccess/i, error);
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(1);
    const { guestState } = (await newest()).disks[0] ?? {};
    if (guestState === undefined) throw new Error("It was not kept.");
    expect(Buffer.from(await readGuestState(vault(), guestState, never)).equals(await vm.readGuestState())).toBe(true);
    await backups.expectLeft(run);
  });

  test("is waited for where somebody else's five SAS stand in the way of its disk", async () => {
    await backups.web({ ...trusted, disks: 1, wanted: "crash" });
    const error = new ServiceError(409, "TooManyActiveSnapshotSasUris", "Five.");
    const fault = backups.region.server.arm.faults.planRequest(/^POST .*beginGetAccess/i, error, 10);
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(10);
    expect((await newest()).disks[0]?.guestState).toBeDefined();
    await backups.expectLeft(run);
  });

  test("is found by verify where it is damaged, as what it is", async () => {
    await backups.web(trusted);
    succeeded(await backups.backup());
    const { disks, pointId } = await newest();
    const index = disks[0]?.guestState?.index ?? "";
    await vault().store.remove(`index/${index.slice(0, 2)}/${index}`, {}, never);
    const { findings } = await verifyVault(vault(), {}, never);
    expect(findings).toMatchObject([
      { code: "index-missing", affected: [{ pointId, disk: "web-0", part: "guest-state" }] },
    ]);
  });
});
