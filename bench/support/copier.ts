/**
 * The process that copies, alone: told by IPC what to back up, it does one backup and answers what that took. Its peak memory is
 * this process's own, with the SDKs loaded; the emulators and the benchmark run elsewhere.
 */
import { once } from "node:events";
import type { CopyCounts } from "../../shared/core/run.ts";
import { createRealPipeline, type RealPipelineOptions } from "../../test/support/real-pipeline.ts";

export interface CopierOrder extends RealPipelineOptions {
  readonly diskUrl: string;
  /** One full backup, and incremental ones after it. */
  readonly backups: number;
}

export interface CopierReport {
  readonly peakMemoryBytes: number;
  /** For each backup, from its request to its end. */
  readonly seconds: readonly number[];
  readonly counts: readonly CopyCounts[];
}

const [order] = (await once(process, "message")) as [CopierOrder];
const pipeline = await createRealPipeline(order);
const vm = await pipeline.protect({ name: "bench", disks: [{ name: "disk", url: order.diskUrl }] });
const seconds: number[] = [];
const counts: CopyCounts[] = [];
for (let n = 0; n < order.backups; n++) {
  process.send?.({ kind: "begins", backup: n });
  const startedAt = performance.now();
  const run = await pipeline.backup(vm);
  seconds.push((performance.now() - startedAt) / 1000);
  const [disk] = "disks" in run ? run.disks : [];
  if (run.state !== "succeeded" || disk === undefined) throw new Error(`The backup ${run.state}.`);
  counts.push(disk);
}
const report: CopierReport = { peakMemoryBytes: process.resourceUsage().maxRSS * 1024, seconds, counts };
process.send?.({ kind: "report", report });
process.disconnect();
