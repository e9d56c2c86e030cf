/**
 * Peak memory of the process that copies: the functions host's worker, with four windows of one disk at once in it, for a sparse
 * disk of 1 TiB and one of 1 GiB with the same 256 MiB of data; a full backup and an incremental one that compares every chunk; then,
 * in the same worker, two restores of that disk at once, so that four windows of restores are in it as well.
 * Not measured: other sources than page blobs; other chunk sizes than 1 MiB.
 */
import { BlobServiceClient } from "@azure/storage-blob";
import { DemoApi } from "../../local/demo/api.ts";
import { startStack } from "../../local/stack/stack.ts";
import type { Figure } from "../support/figure.ts";
import { makeDisk, mib } from "../support/regions.ts";
import { watchPeak } from "../support/watch-peak.ts";

const limitBytes = 300 * mib;
const dataBytes = 256 * mib;
/** Small, so that there are more windows than the four that one worker takes at once. */
const windowBytes = 32 * mib;

/** In bytes. */
interface Peaks {
  readonly backups: number;
  readonly restores: number;
}

export async function memory(): Promise<Figure[]> {
  const small = await peakMemory(1024 * mib);
  const large = await peakMemory(1024 * 1024 * mib);
  const text = (bytes: number): string => `${(bytes / mib).toFixed(0)} MiB`;
  const figure = (what: string, bytes: number, than: number): Figure => ({
    name: `peak memory of the worker, ${what}`,
    value: bytes === than ? text(bytes) : `${text(bytes)} (${(bytes / than).toFixed(2)} × the 1 GiB disk)`,
    target: "< 300 MiB",
    met: bytes < limitBytes,
  });
  return [
    figure("1 GiB disk", small.backups, small.backups),
    figure("1 TiB sparse disk", large.backups, small.backups),
    figure("restores of a 1 GiB disk after its backups", small.restores, small.restores),
    figure("restores of a 1 TiB sparse disk after its backups", large.restores, small.restores),
  ];
}

async function peakMemory(sizeBytes: number): Promise<Peaks> {
  const stack = await startStack({ log: () => undefined, settings: { FARSIDE_WINDOW_BYTES: String(windowBytes) } });
  const api = new DemoApi(stack, new AbortController().signal);
  const end = async (runId: string): Promise<void> => {
    const run = await api.finished(runId);
    if (run.state !== "succeeded") throw new Error(`The run ${run.state}: ${run.error?.message ?? ""}`);
  };
  try {
    const { source, vault } = stack.file.regions;
    const disk = await makeDisk(source.connectionString, "disk", sizeBytes, dataBytes);
    await api.put("policies/bench", { retention: { keepLast: 3 }, consistency: { wanted: "crash" } });
    await api.put("vms/bench", {
      policy: "bench",
      source: { kind: "page-blob", disks: [{ name: "disk", url: disk.url }] },
    });
    const backups = watchPeak(() => stack.host.workerPid);
    for (let backup = 0; backup < 2; backup++) {
      const { runId } = await api.post<{ runId: string }>("vms/bench/backups", {});
      await end(runId).catch((error: unknown) => {
        backups.stop();
        throw error;
      });
    }
    const backupPeak = backups.stop();
    const restores = watchPeak(() => stack.host.workerPid);
    const endpoint = BlobServiceClient.fromConnectionString(vault.connectionString).url.replace(/\/$/, "");
    const runs = ["one", "two"].map(async (name) => {
      const body = { target: { kind: "container", url: `${endpoint}/restored-${name}` } };
      await end((await api.post<{ runId: string }>("vms/bench/restores", body)).runId);
    });
    await Promise.all(runs).finally(() => restores.stop());
    return { backups: backupPeak, restores: restores.stop() };
  } finally {
    await stack.stop();
  }
}
