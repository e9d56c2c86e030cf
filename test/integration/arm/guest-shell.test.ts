/** Run Command in the local region: the guest's own writes, and what a shell would not do. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";

const mib = 1024 ** 2;
const disk = "D=$(ls -1 /dev/disk/azure/scsi1/lun0 | head -n 1)";
let region: ManagedRegion;
let vm: ManagedVm;
beforeEach(async () => {
  region = await startManagedRegion({ now: Date.now });
  vm = await region.addVm("web", 2);
});
afterEach(() => region.stop());

async function run(...script: readonly string[]): Promise<string> {
  const command = { commandId: "RunShellScript", script: [...script] };
  const { value = [] } = await region.client.virtualMachines.runCommand(group, "web", command);
  return value.find(({ code }) => code?.includes("StdErr"))?.message ?? "";
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

describe("A script in a VM of the local region", () => {
  test("writes to a data disk where it says, once or many times, and with zeros", async () => {
    expect(await run("set -e", disk, "dd if=/dev/urandom of=$D bs=1M seek=3 count=2 conv=notrunc,fsync", "sync")).toBe(
      "",
    );
    expect(isZero(await vm.read(1, 3 * mib, 2 * mib))).toBe(false);
    expect(isZero(await vm.read(1, 0, 3 * mib))).toBe(true);
    expect(isZero(await vm.read(0, 0, 8 * mib))).toBe(true);
    const loop = "for i in $(seq 0 3); do dd if=/dev/urandom of=$D bs=4096 seek=$((i * 4)) count=1 conv=notrunc; done";
    expect(await run(disk, loop, "dd if=/dev/zero of=$D bs=1M seek=3 count=2")).toBe("");
    expect(isZero(await vm.read(1, 3 * mib, 2 * mib))).toBe(true);
    for (const block of [0, 4, 8, 12]) expect(isZero(await vm.read(1, block * 4096, 4096))).toBe(false);
    expect(isZero(await vm.read(1, 4096, 3 * 4096))).toBe(true);
  });

  test.each([
    ["a command that is not there", ["rm -rf /"], "command not found"],
    ["a LUN without a disk", ["D=$(ls /dev/disk/azure/scsi1/lun9)"], "no disk at LUN 9"],
    ["no disk", ["dd if=/dev/zero of=$D bs=512 count=1"], "unbound"],
    ["another place", [disk, "dd if=/dev/zero of=/dev/sda bs=512 count=1"], "dd"],
    ["another source", [disk, "dd if=/etc/passwd of=$D bs=512 count=1"], "failed to open"],
    ["no length", [disk, "dd if=/dev/zero of=$D bs=512"], "dd"],
  ])("fails with %s", async (_what, script, message) => {
    expect(await run(...script)).toContain(message);
  });
});
