/** The memory of the local ARM's process, with 32 disks of a TiB each, against what was written to them. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { apiVersions, LocalArmClient } from "../../../local/arm/local-client.ts";
import { groupId, location } from "../../../local/arm/samples/sample-vms.ts";
import { startArm, type ArmProcess } from "../../../local/stack/start-arm.ts";

const never = new AbortController().signal;
const mib = 1024 ** 2;
const tib = 1024 ** 4;
const compute = `${groupId}/providers/Microsoft.Compute`;
const disks = Array.from({ length: 32 }, (_, n) => `${compute}/disks/big-${n}`);
const writtenMib = 512;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-arm-memory-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function memoryMib({ pid }: ArmProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

async function makeBigVm(client: LocalArmClient): Promise<void> {
  for (const id of disks) {
    const properties = { diskSizeGB: 1024, creationData: { createOption: "Empty" } };
    await client.put(id, apiVersions.disks, { location, properties });
  }
  const [os, ...others] = disks.map((id) => ({ createOption: "Attach", managedDisk: { id } }));
  const dataDisks = others.map((disk, lun) => ({ ...disk, lun }));
  const storageProfile = { osDisk: { ...os, osType: "Linux" }, dataDisks };
  const hardwareProfile = { vmSize: "Standard_D64s_v5" };
  const vm = `${compute}/virtualMachines/big`;
  await client.put(vm, apiVersions.machines, { location, properties: { hardwareProfile, storageProfile } });
}

test.runIf(process.platform === "linux")(
  "It does not grow with the disks, nor with what is written to them, and 32 TiB are there again after a kill",
  async () => {
    const first = await startArm({ folder, port: 0 });
    let client = new LocalArmClient(first.url, never);
    await makeBigVm(client);
    const content = randomBytes(mib);
    const places = Array.from({ length: writtenMib }, (_, n) => ({
      disk: disks[n % disks.length] ?? "",
      offset: (n * 7919 * mib) % (tib - mib),
    }));
    const empty = await memoryMib(first);
    for (const { disk, offset } of places) await client.guestWrites(disk, offset, content);
    const written = await memoryMib(first);
    process.kill(first.pid, "SIGKILL");
    await first.exited;

    const second = await startArm({ folder, port: 0 });
    client = new LocalArmClient(second.url, never);
    for (const { disk, offset } of places) {
      expect((await client.diskHolds(disk, offset, 4096)).equals(content.subarray(0, 4096))).toBe(true);
    }
    const again = await memoryMib(second);
    await second.stop();
    expect(written - empty).toBeLessThan(writtenMib / 2);
    expect(again - empty).toBeLessThan(writtenMib / 2);
  },
);
