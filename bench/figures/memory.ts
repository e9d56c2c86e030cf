/**
 * Peak memory of the process that copies: the functions host's worker, with four windows of one disk at once in it, for a sparse
 * disk of 1 TiB and one of 1 GiB with the same 256 MiB of data; a full backup and an incremental one that compares every chunk.
 * Not measured: other sources than page blobs; other chunk sizes than 1 MiB.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { DemoApi } from "../../local/demo/api.ts";
import { startStack } from "../../local/stack/stack.ts";
import type { Figure } from "../support/figure.ts";
import { makeDisk, mib } from "../support/regions.ts";

const limitBytes = 300 * mib;
const dataBytes = 256 * mib;
/** Small, so that there are more windows than the four that one worker takes at once. */
const windowBytes = 32 * mib;
const sampleMs = 50;

export async function memory(): Promise<Figure[]> {
  const small = await peakMemory(1024 * mib);
  const large = await peakMemory(1024 * 1024 * mib);
  const text = (bytes: number): string => `${(bytes / mib).toFixed(0)} MiB`;
  return [
    { name: "peak memory of the worker, 1 GiB disk", value: text(small), target: "< 300 MiB", met: small < limitBytes },
    {
      name: "peak memory of the worker, 1 TiB sparse disk",
      value: `${text(large)} (${(large / small).toFixed(2)} × the 1 GiB disk)`,
      target: "< 300 MiB",
      met: large < limitBytes,
    },
  ];
}

async function peakMemory(sizeBytes: number): Promise<number> {
  const stack = await startStack({ log: () => undefined, settings: { FARSIDE_WINDOW_BYTES: String(windowBytes) } });
  const api = new DemoApi(stack, new AbortController().signal);
  try {
    const disk = await makeDisk(stack.file.regions.source.connectionString, "disk", sizeBytes, dataBytes);
    await api.put("policies/bench", { retention: { keepLast: 3 }, consistency: { wanted: "crash" } });
    await api.put("vms/bench", {
      policy: "bench",
      source: { kind: "page-blob", disks: [{ name: "disk", url: disk.url }] },
    });
    const watch = watchPeak(() => stack.host.workerPid);
    for (let backup = 0; backup < 2; backup++) {
      const { runId } = await api.post<{ runId: string }>("vms/bench/backups", {});
      const run = await api.finished(runId);
      if (run.state !== "succeeded") throw new Error(`The backup ${run.state}: ${run.error?.message ?? ""}`);
    }
    return watch.stop();
  } finally {
    await stack.stop();
  }
}

/** The kernel's own high-water mark where it keeps one, else the largest sample. */
function watchPeak(pidOf: () => number | undefined): { stop(): number } {
  let peak = 0;
  const sample = (): void => {
    const pid = pidOf();
    if (pid !== undefined) peak = Math.max(peak, residentBytes(pid));
  };
  const timer = setInterval(sample, sampleMs);
  return {
    stop() {
      clearInterval(timer);
      sample();
      return peak;
    },
  };
}

function residentBytes(pid: number): number {
  if (process.platform === "linux") {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  }
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) * 1024;
}
