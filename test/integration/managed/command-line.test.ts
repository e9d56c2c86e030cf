/** A VM of Azure by the command line, through the real functions host, over the local ARM: protected, backed up twice, restored to files. */
import { randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesOf } from "../../support/machine-restores.ts";
import { diskGib, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";
import { parsed, startStackShell, type StackShell } from "../../support/stack-shell.ts";

const mib = 1024 ** 2;
const gib = diskGib * 1024 ** 3;

let region: ManagedRegion;
let shell: StackShell;
let vm: ManagedVm;
beforeAll(async () => {
  region = await startManagedRegion({ now: Date.now });
  shell = await startStackShell({ settings: { FARSIDE_LOCAL_ARM: region.server.url } });
  vm = await region.addVm("app1", 2);
});
afterAll(async () => {
  await shell?.stop();
  await region?.stop();
});

interface Run {
  readonly state: string;
  readonly consistency: string;
  readonly disks: readonly { readonly name: string; readonly mode: string; readonly changedBytes: number }[];
}

const backup = async () => parsed<Run>(await shell.run(["backup", "app1", "--wait", "--json"]));

describe("A VM of Azure by the command line", () => {
  test("is protected by its resource id alone, and shown with it", async () => {
    parsed(await shell.run(["policy", "set", "daily", "--keep-daily", "7", "--json"]));
    const wrong = await shell.run([
      "vm",
      "protect",
      "app1",
      "--policy",
      "daily",
      "--resource-id",
      `${vm.resourceId}-other`,
    ]);
    expect([wrong.exitCode, wrong.err]).toEqual([3, expect.stringContaining("app1-other")]);
    const both = ["--resource-id", vm.resourceId, "--guest", "http://10.0.0.4:8080"];
    expect((await shell.run(["vm", "protect", "app1", "--policy", "daily", ...both])).exitCode).toBe(2);
    const made = await shell.run(["vm", "protect", "app1", "--policy", "daily", "--resource-id", vm.resourceId]);
    expect(made).toMatchObject({ exitCode: 0, out: expect.stringContaining("Protecting app1: its managed disks") });
    expect(parsed(await shell.run(["vm", "show", "app1", "--json"]))).toMatchObject({
      source: { kind: "managed", resourceId: vm.resourceId },
    });
    expect((await shell.run(["vm", "show", "app1"])).out).toContain(vm.resourceId);
    expect((await shell.run(["vm", "list"])).out).toContain("managed");
  });

  test("is backed up, and restored to files byte for byte", async () => {
    await vm.write(0, 0, randomBytes(2 * mib));
    await vm.write(1, gib - mib, randomBytes(mib));
    expect(await backup()).toMatchObject({ state: "succeeded", consistency: "filesystem" });
    await vm.write(1, gib - mib + 512, randomBytes(1024));
    vm.clear(0, mib, 4096);
    expect(await backup()).toMatchObject({
      state: "succeeded",
      disks: [
        { name: "app1-0", mode: "incremental", changedBytes: 4096 },
        { name: "app1-1", mode: "incremental", changedBytes: 1024 },
      ],
    });
    const folder = join(shell.folder, "restored");
    parsed(await shell.run(["restore", "app1", "--to-file", folder, "--json"]));
    for (const [disk, offset, length] of [
      [0, 0, 4 * mib],
      [0, gib - mib, mib],
      [1, 0, mib],
      [1, gib - 2 * mib, 2 * mib],
    ] as const) {
      const held = await readAt(join(folder, `app1-${disk}.raw`), offset, length);
      expect(held.equals(await vm.read(disk, offset, length))).toBe(true);
    }
    expect(shell.complaints.filter((text) => /sig=|AccountKey/.test(text))).toEqual([]);
  });

  test("is restored by the service as managed disks, waited for, and shown with what was made; a taken name is refused", async () => {
    const group = vm.resourceId.split("/").slice(0, 5).join("/");
    const flags = ["--to-managed-disks", group, "--location", "northeurope", "--sku", "Standard_LRS"];
    const restored = parsed<RestoreView>(await shell.run(["restore", "app1", ...flags, "--wait", "--json"]));
    expect(restored).toMatchObject({ state: "succeeded", target: { kind: "managed-disks", location: "northeurope" } });
    expect(restored.made.map(({ id }) => id)).toEqual(restored.disks.map(({ url }) => url));
    for (const [number, { url }] of restored.disks.entries()) {
      for (const [offset, length] of [
        [0, 4 * mib],
        [gib - 2 * mib, 2 * mib],
      ] as const) {
        const held = Buffer.from(await bytesOf(region, url, offset, length));
        expect(held.equals(await vm.read(number, offset, length))).toBe(true);
      }
    }
    const shown = await shell.run(["run", "show", restored.runId]);
    expect(shown.out).toContain(restored.made[0]?.id);
    const again = await shell.run(["restore", "app1", ...flags]);
    expect([again.exitCode, again.err]).toEqual([4, expect.stringContaining("exists already")]);
    const running = await shell.run(["restore", "app1", "--swap-disks", "--name-prefix", "swapped"]);
    expect([running.exitCode, running.err]).toEqual([4, expect.stringContaining("is running")]);
    expect(shell.complaints.filter((text) => /sig=|AccountKey/.test(text))).toEqual([]);
  });
});

interface RestoreView {
  readonly runId: string;
  readonly state: string;
  readonly disks: readonly { readonly url: string }[];
  readonly made: readonly { readonly id: string }[];
}

async function readAt(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
