/** A VM of Azure that was deleted and made again under its name: the resource id is the same, and nothing else is. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startAzurite, type Azurite } from "../../../local/azurite/azurite-process.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import type { BackupRun } from "../../../shared/core/run.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { readManifest } from "../../../shared/operations/vault/list-restore-points.ts";
import { readDisk } from "../../../shared/operations/vault/read-disk.ts";
import { addPolicy } from "../../support/add-policy.ts";
import { group, startManagedRegion, type ManagedRegion } from "../../support/managed-vm.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";

const mib = 1024 ** 2;
const never = new AbortController().signal;
const name = parseVmName("web");
const hourMs = 3_600_000;

let vaultRegion: Azurite;
let region: ManagedRegion;
let pipeline: RealPipeline;
let laterMs = 0;

beforeAll(async () => {
  vaultRegion = await startAzurite({ accounts: [{ name: "vaultacct", key: randomBytes(64).toString("base64") }] });
  const now = () => (pipeline === undefined ? Date.now() : pipeline.context.clock.now()) + laterMs;
  region = await startManagedRegion({ now });
  pipeline = await createRealPipeline({
    accounts: [],
    vaultConnection: vaultRegion.connectionString("vaultacct"),
    vaultContainer: "vault",
    armUrl: region.server.url,
  });
});
afterAll(async () => {
  await region.stop();
  await vaultRegion.stop();
});

function succeeded(run: BackupRun) {
  if (run.state === "succeeded") return run;
  throw new Error(`The run ${run.state}: ${"error" in run ? `${run.error.code} ${run.error.message}` : ""}`);
}

/** The first MiB of a disk, as its restore point has it. */
async function firstMib(run: BackupRun, disk: string): Promise<Buffer> {
  const point = await readManifest(pipeline.vault, run.vmId, succeeded(run).restorePointId, never);
  const found = point.kind === "standing" ? point.manifest.disks.find((one) => one.name === disk) : undefined;
  if (found === undefined) throw new Error(`The point lacks ${disk}.`);
  const bytes = Buffer.alloc(mib);
  for await (const piece of readDisk(pipeline.vault, found, {}, never)) {
    if (piece.kind !== "data" || piece.offset >= mib) continue;
    bytes.set(piece.content.subarray(0, mib - piece.offset), piece.offset);
  }
  return bytes;
}

/** What of ours stands in the region, when all that was begun has ended. */
async function left(): Promise<readonly string[]> {
  laterMs += hourMs;
  await region.client.virtualMachines.get(group, "web");
  const own = region.server.arm.resources.all().filter((one) => /\/(?:restorePoints|snapshots)$/.test(one.type));
  return own.map(({ id }) => id.split("/").at(-1) ?? "");
}

test("is copied in full, byte for byte, whatever stands of the machine before it", async () => {
  const policy = await addPolicy(pipeline.context, "daily", { consistency: { wanted: "application", least: "crash" } });
  const old = await region.addVm("web", 2);
  await old.write(0, 0, randomBytes(mib));
  await old.write(1, 0, randomBytes(mib));
  await protectVm(pipeline.context, { name, policy, source: { kind: "managed", resourceId: old.resourceId } }, never);
  const before = succeeded(await pipeline.backup(name));
  const oldBytes = Buffer.from(await old.read(1, 0, mib));

  for (const id of [old.resourceId, ...old.diskIds]) region.server.arm.resources.remove(id);
  const made = await region.addVm("web", 2);
  expect(made.resourceId).toBe(old.resourceId);
  await made.write(1, 0, randomBytes(mib));
  const after = succeeded(await pipeline.backup(name));

  expect(after.disks.map(({ mode }) => mode)).toEqual(["full", "full"]);
  const identities = (run: typeof before) => run.set.snapshots.map(({ identity }) => identity);
  expect(identities(after).some((identity) => identities(before).includes(identity))).toBe(false);
  expect((await firstMib(after, "web-1")).equals(Buffer.from(await made.read(1, 0, mib)))).toBe(true);
  expect((await firstMib(after, "web-0")).equals(Buffer.alloc(mib))).toBe(true);
  // The points of the machine before stay what they are.
  expect((await firstMib(before, "web-1")).equals(oldBytes)).toBe(true);
  expect(await left()).toEqual([`farside-${after.set.attemptId}`]);
});
