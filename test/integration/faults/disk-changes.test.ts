/** Disks that grow, shrink, are replaced, leave the VM or are deleted between two backups: the mode, the bytes, the reason. */
import { setTimeout as sleep } from "node:timers/promises";
import type { PageBlobClient } from "@azure/storage-blob";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BackupRun } from "../../../shared/core/run.ts";
import { listAll } from "../../../shared/operations/list-all.ts";
import { makeDisk, noise, ownSnapshots, write } from "../../support/faults/disk-content.ts";
import { mib, PipelineBench, type Scene } from "../../support/faults/pipeline-bench.ts";

const never = new AbortController().signal;
let bench: PipelineBench;
beforeAll(async () => {
  bench = await PipelineBench.start();
});
afterAll(() => bench.stop());

const modes = (run: BackupRun): Readonly<Record<string, string>> =>
  Object.fromEntries("disks" in run ? run.disks.map(({ name, mode }) => [name, mode]) : []);

/** Why disks were copied in full. */
async function reasons(scene: Scene, run: BackupRun): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for await (const { value } of listAll(scene.pipeline.context.catalog.runEvents, { runId: run.runId }, never)) {
    if (value.runId === run.runId && value.fields["reason"] !== undefined) found.push(value.fields["reason"]);
  }
  return found;
}

async function afterFirst(name: string, sizeBytes = 6 * mib): Promise<Scene> {
  const scene = await bench.scene({ name, disks: ["os", "data"], sizeBytes });
  const run = await scene.backup();
  await scene.prove(run);
  expect(modes(run)).toEqual({ os: "full", data: "full" });
  return scene;
}

test("A disk that grew is copied incrementally, with what was written beyond its old end", async () => {
  // Not a multiple of the chunk: the last chunk gets longer.
  const scene = await afterFirst("grown", 6 * mib + 512 * 100);
  const data = scene.disk("data");
  await data.resize(9 * mib);
  await write(data, 6 * mib + 512 * 90, noise("over the old end", 512 * 40));
  await write(data, 8 * mib, noise("beyond", 4096));
  const run = await scene.backup();
  const manifest = await scene.prove(run);
  expect(modes(run)).toEqual({ os: "incremental", data: "incremental" });
  expect(manifest.disks.find(({ name }) => name === "data")?.sizeBytes).toBe(9 * mib);
});

test("A disk that shrank is copied in full", async () => {
  const scene = await afterFirst("shrunk");
  await scene.disk("data").resize(3 * mib);
  const run = await scene.backup();
  await scene.prove(run);
  expect(modes(run)).toEqual({ os: "incremental", data: "full" });
  expect(await reasons(scene, run)).toEqual(["shrunk"]);
});

async function replaced(disk: PageBlobClient, how: "overwritten" | "deleted and made anew"): Promise<void> {
  // An identity is of a second.
  await sleep(1100);
  if (how !== "overwritten") await disk.delete({ deleteSnapshots: "include" });
  await disk.create(6 * mib);
  await write(disk, 2 * mib, noise(how, mib));
}

test.each(["overwritten", "deleted and made anew"] as const)(
  "Another disk under the same name, %s, is copied in full",
  async (how) => {
    const scene = await afterFirst(`replaced-${how.split(" ")[0] ?? ""}`);
    await replaced(scene.disk("data"), how);
    const run = await scene.backup();
    await scene.prove(run);
    expect(modes(run)).toEqual({ os: "incremental", data: "full" });
    expect(await reasons(scene, run)).toEqual(["other-identity"]);
  },
);

test("A disk whose base snapshot somebody removed is copied in full", async () => {
  const scene = await afterFirst("base-gone");
  for (const { client, blob } of await ownSnapshots(scene.container)) if (blob === "data") await client.delete();
  const run = await scene.backup();
  await scene.prove(run);
  expect(modes(run)).toEqual({ os: "incremental", data: "full" });
  expect(await reasons(scene, run)).toEqual(["parent-snapshot-gone"]);
});

test("A disk that left the VM is in the old point and not in the new one, and its base snapshot goes", async () => {
  const scene = await afterFirst("left");
  await scene.setDisks("os");
  const run = await scene.backup();
  const manifest = await scene.prove(run);
  expect(manifest.disks.map(({ name }) => name)).toEqual(["os"]);
});

test("A disk that came to the VM is copied in full, the others incrementally", async () => {
  const scene = await afterFirst("came");
  await makeDisk(scene.container, "more", 2 * mib, [{ offset: 4096, length: mib }]);
  await scene.setDisks("os", "data", "more");
  const run = await scene.backup();
  await scene.prove(run);
  expect(modes(run)).toEqual({ os: "incremental", data: "incremental", more: "full" });
});

test("A disk whose blob was deleted fails the run with the disk's name, leaves nothing but the base, and not for ever", async () => {
  const scene = await afterFirst("deleted");
  const data = scene.disk("data");
  await data.delete({ deleteSnapshots: "include" });
  const run = await scene.backup();
  expect(run).toMatchObject({ state: "failed", error: { code: "not-found" } });
  expect("error" in run ? run.error.message : "").toContain(scene.url("data"));
  expect((await ownSnapshots(scene.container)).map(({ blob }) => blob)).toEqual(["os"]);
  await sleep(1100);
  await makeDisk(scene.container, "data", 4 * mib, [{ offset: mib, length: mib }]);
  const next = await scene.backup();
  await scene.prove(next);
  expect(modes(next)).toEqual({ os: "incremental", data: "full" });
});
