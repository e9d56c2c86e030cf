/**
 * VMs of Azure through the whole pipeline: ARM by the real SDK over the local one, the vault in Azurite. Time passes where the platform
 * takes its own, by the pipeline's clock.
 */
import { randomBytes } from "node:crypto";
import { beforeEach, afterEach, describe, expect, test } from "vitest";
import { parseVmName } from "../../../shared/core/ids.ts";
import type { BackupRun } from "../../../shared/core/run.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { readManifest } from "../../../shared/operations/vault/list-restore-points.ts";
import { readDisk } from "../../../shared/operations/vault/read-disk.ts";
import { addPolicy } from "../../support/add-policy.ts";
import { diskGib, group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { useVaultRegion } from "../../support/vault-region.ts";

const mib = 1024 ** 2;
const gib = diskGib * 1024 ** 3;
const hourMs = 3_600_000;
const never = new AbortController().signal;
const name = parseVmName("web");

const newVault = useVaultRegion();

let region: ManagedRegion;
let pipeline: RealPipeline;
/** What each operation takes, by the pipeline's clock: seconds for access, a minute for all else. */
let takes: (operation: string) => number;
/** How far the region's clock is ahead, for its hourly limits. */
let laterMs = 0;

beforeEach(async () => {
  takes = (operation) => (operation.startsWith("access") ? 0 : 60_000);
  laterMs = 0;
  const now = () => (pipeline === undefined ? Date.now() : pipeline.context.clock.now()) + laterMs;
  region = await startManagedRegion({ now, takes: (operation) => takes(operation) });
  pipeline = await createRealPipeline({
    accounts: [],
    ...newVault(),
    armUrl: region.server.url,
  });
});
afterEach(() => region.stop());

async function protect(
  vm: ManagedVm,
  consistency: { wanted: "application" | "crash"; least: "application" | "filesystem" | "crash" },
) {
  const { context } = pipeline;
  const policy = await addPolicy(context, "daily", { consistency });
  await protectVm(context, { name, policy, source: { kind: "managed", resourceId: vm.resourceId } }, never);
}

function succeeded(run: BackupRun) {
  if (run.state === "succeeded") return run;
  throw new Error(`The run ${run.state}: ${"error" in run ? `${run.error.code} ${run.error.message}` : ""}`);
}

/** What the restore point holds of a disk, in the windows that were ever written. */
async function restored(run: BackupRun, disk: string, windows: readonly (readonly [number, number])[]) {
  const point = await readManifest(pipeline.vault, run.vmId, succeeded(run).restorePointId, never);
  if (point.kind !== "standing") throw new Error("There is no restore point.");
  const found = point.manifest.disks.find((one) => one.name === disk);
  if (found === undefined) throw new Error(`The point lacks ${disk}.`);
  expect(found.sizeBytes).toBe(gib);
  const buffers = windows.map(([offset, length]) => ({ offset, bytes: Buffer.alloc(length) }));
  for await (const piece of readDisk(pipeline.vault, found, {}, never)) {
    if (piece.kind !== "data") continue;
    const { content } = piece;
    for (const { offset, bytes } of buffers) {
      const from = Math.max(offset, piece.offset);
      const to = Math.min(offset + bytes.length, piece.offset + content.length);
      if (from < to) bytes.set(content.subarray(from - piece.offset, to - piece.offset), from - offset);
    }
  }
  return buffers.map(({ bytes }) => bytes);
}

async function nothingLeft(points: number): Promise<void> {
  // What was begun to be deleted ends in the region's own time.
  laterMs += hourMs;
  await region.client.virtualMachines.get(group, "web").catch(() => undefined);
  const { resources } = region.server.arm;
  const left = resources.all().filter((one) => one.type.endsWith("/restorePoints") || one.type.endsWith("/snapshots"));
  expect(left.map(({ id }) => id)).toHaveLength(points);
  for (const one of resources.all()) expect(region.server.arm.grants.of(one.id)).toBeUndefined();
}

describe("A VM of Azure with several disks", () => {
  test("is backed up by restore points, in full and then by what changed, byte for byte, and nothing but the base is left", async () => {
    const vm = await region.addVm("web", 3);
    const windows = [
      [0, mib],
      [300 * mib, 8 * mib],
      [gib - mib, mib],
    ] as const;
    for (const disk of [0, 1, 2])
      for (const [offset, length] of windows) await vm.write(disk, offset, randomBytes(length));
    await protect(vm, { wanted: "application", least: "filesystem" });

    const full = succeeded(await pipeline.backup(name));
    expect(full.disks.map(({ mode, method }) => [mode, method])).toEqual(
      Array.from({ length: 3 }, () => ["full", "all"]),
    );
    expect(full.set).toMatchObject({
      source: "managed",
      consistency: {
        requested: "application",
        achieved: "filesystem",
        skewMs: 0,
        note: expect.stringContaining("no application"),
      },
    });
    const before = await Promise.all(windows.map(([offset, length]) => vm.read(1, offset, length)));
    expect(
      (await restored(full, "web-1", windows)).map((bytes, i) => bytes.equals(before[i] ?? Buffer.alloc(0))),
    ).toEqual([true, true, true]);

    await vm.write(1, 300 * mib + 512, randomBytes(3 * mib));
    vm.clear(1, 305 * mib, mib);
    await vm.write(2, gib - 512, randomBytes(512));
    region.requests.length = 0;
    const changed = succeeded(await pipeline.backup(name));
    expect(changed.disks.map(({ mode, method }) => [mode, method])).toEqual(
      Array.from({ length: 3 }, () => ["incremental", "diff"]),
    );
    expect(changed.disks.map(({ changedBytes }) => changedBytes)).toEqual([0, 4 * mib, 512]);
    for (const disk of [1, 2]) {
      const now = await Promise.all(windows.map(([offset, length]) => vm.read(disk, offset, length)));
      const back = await restored(changed, `web-${disk}`, windows);
      expect(back.map((bytes, i) => bytes.equals(now[i] ?? Buffer.alloc(0)))).toEqual([true, true, true]);
    }
    await nothingLeft(1);
  });

  test("asks ARM a number of requests that its disks decide, and not what they hold", async () => {
    const vm = await region.addVm("web", 3);
    await vm.write(0, 0, randomBytes(mib));
    await protect(vm, { wanted: "application", least: "filesystem" });
    await pipeline.backup(name);
    const counted = async () => {
      region.requests.length = 0;
      succeeded(await pipeline.backup(name));
      laterMs += hourMs;
      return region.requests.length;
    };
    await vm.write(0, 0, randomBytes(512));
    const few = await counted();
    for (let at = 0; at < 64; at++) await vm.write(at % 3, at * 16 * mib, randomBytes(8192));
    expect(await counted()).toBe(few);
    expect(few).toBe(requestsOf(3));
  });
});

/** docs/azure.md, "Requests": where each operation is looked at as often as here. */
function requestsOf(disks: number): number {
  // Each disk: looked at, its base looked for, two SAS taken and two given back, at three requests each.
  return 16 + 14 * disks;
}

describe("A VM of Azure with one disk, or a stopped one", () => {
  test("gets incremental snapshots, and then what changed", async () => {
    const vm = await region.addVm("web", 1);
    await vm.write(0, mib, randomBytes(mib));
    await protect(vm, { wanted: "crash", least: "crash" });
    const full = succeeded(await pipeline.backup(name));
    expect(full.set).toMatchObject({
      consistency: { achieved: "crash" },
      snapshots: [{ reference: { kind: "snapshot" } }],
    });
    await vm.write(0, mib, randomBytes(512));
    const changed = succeeded(await pipeline.backup(name));
    expect(changed.disks).toMatchObject([{ mode: "incremental", method: "diff", changedBytes: 512 }]);
    const [held] = await restored(changed, "web-0", [[mib, mib]]);
    expect(held?.equals(await vm.read(0, mib, mib))).toBe(true);
    await nothingLeft(1);
  });

  test("is whole where it was stopped before and after, which no guest had to be asked for", async () => {
    const vm = await region.addVm("web", 2);
    await vm.write(1, 0, randomBytes(mib));
    region.server.arm.resources.change(vm.resourceId, { powerState: "deallocated" });
    await protect(vm, { wanted: "application", least: "filesystem" });
    const run = succeeded(await pipeline.backup(name));
    expect(run.set.consistency).toMatchObject({ achieved: "filesystem", note: expect.stringContaining("stopped") });
    expect(run.set.snapshots.map(({ reference }) => reference["kind"])).toEqual(["snapshot", "snapshot"]);
    await nothingLeft(2);
  });
});
