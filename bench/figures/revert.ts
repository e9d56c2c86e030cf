/**
 * What a revert writes: 1 % of a disk's pages of 4 KiB, scattered by chance, have changed since the restore point. Counted by the run
 * itself; the requests by a proxy before the storage service. Not measured: what it reads, which is the disk.
 */
import { randomBytes } from "node:crypto";
import { createRealPipeline } from "../../test/support/real-pipeline.ts";
import { startStorageProxy } from "../../test/support/storage-proxy.ts";
import { requestRestore } from "../../shared/operations/request-restore.ts";
import type { Figure } from "../support/figure.ts";
import { makeDisk, mib, startRegions } from "../support/regions.ts";

const diskBytes = 256 * mib;
const pageBytes = 4096;
const changedPages = Math.floor(diskBytes / pageBytes / 100);
const never = new AbortController().signal;

export async function revert(): Promise<Figure[]> {
  const regions = await startRegions();
  const proxy = await startStorageProxy(regions.source.blobUrl);
  try {
    const disk = await makeDisk(regions.sourceConnection, "revert", diskBytes, diskBytes);
    const pipeline = await createRealPipeline({
      accounts: [regions.sourceConnection.replace(regions.source.blobUrl, proxy.url)],
      vaultConnection: regions.vaultConnection,
      vaultContainer: "revert",
    });
    const url = disk.url.replace(regions.source.blobUrl, proxy.url);
    const vm = await pipeline.protect({ name: "bench", disks: [{ name: "disk", url }] });
    const backup = await pipeline.backup(vm);
    if (backup.state !== "succeeded") throw new Error(`The backup ${backup.state}.`);
    const pages = Array.from({ length: diskBytes / pageBytes }, (_, page) => page);
    for (let n = 0; n < changedPages; n++) {
      const other = n + Math.floor(Math.random() * (pages.length - n));
      [pages[n], pages[other]] = [pages[other] ?? 0, pages[n] ?? 0];
      await disk.uploadPages(randomBytes(pageBytes), (pages[n] ?? 0) * pageBytes, pageBytes);
    }
    proxy.reset();
    const asked = { vm, point: { kind: "latest" }, target: { kind: "revert" } } as const;
    const { run } = await requestRestore(pipeline.context, asked, never);
    const ended = await pipeline.drive(run.runId);
    if (ended.kind !== "restore" || ended.state !== "succeeded") throw new Error(`The revert ${ended.state}.`);
    const written = ended.disks.reduce((sum, one) => sum + (one.writtenBytes ?? 0), 0);
    const requests = proxy.count("put-page");
    const share = written / diskBytes;
    return [
      {
        name: "a revert after 1 % of the disk's pages have changed, scattered",
        value: `${(share * 100).toFixed(2)} % of the disk written, in ${requests} requests`,
        target: "< 3 % of the disk",
        met: share > 0 && share < 0.03,
      },
    ];
  } finally {
    await proxy.close();
    await regions.stop();
  }
}
