import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ArmConnection } from "../../../shared/adapters/azure/managed/arm-connection.ts";
import { localArm } from "../../../shared/adapters/azure/managed/local-arm.ts";
import { ManagedDiskSource } from "../../../shared/adapters/azure/managed/managed-disk-source.ts";
import { systemClock } from "../../../shared/compose/system.ts";
import { startManagedRegion, type ManagedRegion } from "../../support/managed-vm.ts";

const never = new AbortController().signal;
const poll = { updateIntervalInMs: 1 };

let region: ManagedRegion;
beforeEach(async () => {
  region = await startManagedRegion({ now: Date.now });
});
afterEach(() => region.stop());

describe("The ranges of a managed disk", () => {
  test("are all there beyond the 10,000 of one page, written and cleared ones mixed", async () => {
    const vm = await region.addVm("web", 1);
    const arm = await ArmConnection.open({ ...localArm(region.server.url), clock: systemClock() });
    const source = new ManagedDiskSource({ arm: async () => arm, clock: systemClock(), vaultId: async () => "vault" });
    const pages = 11_000;
    const at = (page: number) => page * 1024;
    const snapshot = async (name: string) => {
      const creationData = { createOption: "Copy", sourceResourceId: vm.diskIds[0] ?? "" };
      const model = { location: "westeurope", incremental: true, creationData };
      const made = await region.client.snapshots.createOrUpdate("prod", name, model, poll);
      return { kind: "snapshot", id: made.id ?? "" };
    };
    for (let page = 0; page < pages; page++) await vm.write(0, at(page), new Uint8Array(512).fill(1));
    const older = await snapshot("older");
    for (let page = 0; page < pages; page++) {
      if (page % 2 === 0) vm.clear(0, at(page), 512);
      else await vm.write(0, at(page), new Uint8Array(512).fill(2));
    }
    const newer = await snapshot("newer");
    const window = { fromByte: 0, toByte: 1024 ** 3 };
    const allocated = await Array.fromAsync(source.allocatedRanges(older, window, never));
    expect(allocated).toHaveLength(pages);
    const changed = await Array.fromAsync(source.changedRanges(newer, older, window, never));
    expect(changed).toEqual(
      Array.from({ length: pages }, (_, page) => ({
        kind: page % 2 === 0 ? "zero" : "data",
        offset: at(page),
        length: 512,
      })),
    );
    await Promise.all([source.release(older, never), source.release(newer, never)]);
    await expect(
      source.changedRanges(newer, { kind: "disk-restore-point", id: older.id }, window, never).next(),
    ).rejects.toMatchObject({
      code: "not-found",
    });
  });
});
