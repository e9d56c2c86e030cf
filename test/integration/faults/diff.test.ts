/** Changed-page lists that are believed, over the real client and server: what they save, and what becomes of one that lies or goes. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { BackupRun } from "../../../shared/core/run.ts";
import { readManifest } from "../../../shared/operations/vault/list-restore-points.ts";
import { diskSegments, readDiskIndex } from "../../../shared/operations/vault/read-disk.ts";
import { objectName } from "../../../shared/core/vault/object-id.ts";
import { noise, ownSnapshots, write } from "../../support/faults/disk-content.ts";
import { chunkBytes, mib, PipelineBench, type Scene } from "../../support/faults/pipeline-bench.ts";

const never = new AbortController().signal;
let hides: (path: string, firstByte: number) => boolean = () => false;
let bench: PipelineBench;
beforeAll(async () => {
  bench = await PipelineBench.start({ hides: (path, firstByte) => hides(path, firstByte) });
});
afterEach(() => {
  hides = () => false;
  bench.reset();
});
afterAll(() => bench.stop());

const methods = (run: BackupRun): readonly unknown[] =>
  "disks" in run ? run.disks.map(({ mode, method }) => `${mode} ${method ?? ""}`) : [];
const readBytes = (run: BackupRun): number => ("disks" in run ? (run.disks[0]?.readBytes ?? 0) : 0);

/** A first backup, and then a change, a hole, and growth. */
async function changed(name: string, sampleChunks = 4): Promise<Scene> {
  const scene = await bench.scene({ name, limits: { sampleChunks } });
  const first = await scene.backup();
  await scene.prove(first);
  expect(methods(first)).toEqual(["full all"]);
  const disk = scene.disk("os");
  await write(disk, 7 * mib + 512, noise(`${name} new`, 4096));
  await disk.clearPages(mib + 512, 600 * 1024);
  await disk.resize(9 * mib + 512 * 7);
  await write(disk, 9 * mib, noise(`${name} beyond`, 512 * 7));
  return scene;
}

test("What was changed, cleared and appended is found by the list, and nothing else is read", async () => {
  const scene = await changed("believed", 0);
  const run = await scene.backup();
  await scene.prove(run);
  expect(methods(run)).toEqual(["incremental diff"]);
  // The change, the hole's two ends, the appended chunk; the first 512 KiB and the piece at 5 MiB are not read.
  expect(readBytes(run)).toBe(3 * chunkBytes + 512 * 7);
  const unchanged = await scene.backup();
  await scene.prove(unchanged);
  expect([methods(unchanged), readBytes(unchanged)]).toEqual([["incremental diff"], 0]);
});

test("A list that leaves a change out is caught by a sample: the disk is compared, and the account not believed again", async () => {
  // As many samples as surely meet the one chunk in 33.
  const scene = await changed("lying", 1000);
  let hidden = 0;
  hides = (path, firstByte) => {
    const is = path.endsWith("/lying/os") && firstByte >= 7 * mib && firstByte < 8 * mib;
    if (is) hidden++;
    return is;
  };
  const run = await scene.backup();
  expect(hidden).toBeGreaterThan(0);
  await scene.prove(run);
  expect(methods(run)).toEqual(["incremental compare"]);
  const next = await scene.backup();
  await scene.prove(next);
  expect(methods(next)).toEqual(["incremental compare"]);
});

test("Control: without samples the same lie is believed, and the proof finds the point wrong", async () => {
  const scene = await changed("unsampled", 0);
  hides = (path, firstByte) => path.endsWith("/unsampled/os") && firstByte >= 7 * mib && firstByte < 8 * mib;
  const run = await scene.backup();
  expect(methods(run)).toEqual(["incremental diff"]);
  await expect(scene.prove(run)).rejects.toThrow(/Expected values to be strictly equal/);
});

test("A parent's snapshot that goes between planning and copying makes the windows compare, and the point is right", async () => {
  const scene = await changed("parent-gone");
  const before = await ownSnapshots(scene.container);
  const step = await scene.firstStep();
  expect(step.run).toMatchObject({ state: "copying" });
  for (const { client } of before) await client.delete();
  const diffs = bench.source.count("page-diff");
  const run = await step.finish();
  expect(bench.source.count("page-diff")).toBeGreaterThan(diffs);
  await scene.prove(run);
});

test("A parent's snapshot that goes between the list and the samples makes the plan one of comparing", async () => {
  const scene = await changed("gone-for-samples", 200);
  const gone = { kind: "answer", status: 409, code: "PreviousSnapshotNotFound" } as const;
  let lists = 0;
  const refused = bench.source.inject(
    (seen) => seen.kind === "page-diff" && seen.path.endsWith("/gone-for-samples/os") && ++lists > 1,
    gone,
    Number.POSITIVE_INFINITY,
  );
  const run = await scene.backup();
  expect(refused.hits).toBeGreaterThan(0);
  await scene.prove(run);
  expect(methods(run)).toEqual(["incremental compare"]);
});

test("A damaged segment of the parent that a sample meets is no end of the run: that stretch is read anew, and the segment put back", async () => {
  const scene = await changed("damaged-parent", 1000);
  const { items } = await scene.pipeline.context.catalog.restorePoints.list({ limit: 1 }, never);
  const point = items[0]?.value;
  if (point === undefined) throw new Error("There is no restore point.");
  const found = await readManifest(scene.pipeline.vault, point.vmId, point.pointId, never);
  const disk = found.kind === "standing" ? found.manifest.disks[0] : undefined;
  if (disk === undefined) throw new Error("There is no disk.");
  const [segment] = diskSegments(await readDiskIndex(scene.pipeline.vault, disk, never));
  if (segment === undefined) throw new Error("There is no segment.");
  const blob = scene.vaultBlobs.getBlobClient(objectName("segment", segment.id));
  await blob.delete();
  const run = await scene.backup();
  await scene.prove(run);
  expect(methods(run)).toEqual(["incremental diff"]);
});
