/**
 * What an incremental backup with nothing changed costs where the diff can be believed: requests to the source region and to the
 * vault's, for a disk of 1 GiB and one of 1 TiB. A proxy answers the changed-page list exactly, as Azure does and the emulator does not.
 */
import { startStorageProxy, type StorageProxy } from "../../test/support/storage-proxy.ts";
import type { Figure } from "../support/figure.ts";
import { makeDisk, mib, startRegions } from "../support/regions.ts";
import { runCopier } from "../support/run-copier.ts";

/** As real-pipeline.ts sets it: where a sample falls into a stretch of zeros, the index need not be read. */
const samples = 4;

interface Requests {
  readonly source: number;
  readonly vault: number;
}

export async function unchanged(): Promise<Figure[]> {
  const regions = await startRegions();
  const source = await startStorageProxy(regions.source.blobUrl, {
    exactDiff: { connectionString: regions.sourceConnection },
  });
  const vault = await startStorageProxy(regions.vault.blobUrl);
  try {
    const accounts = [regions.sourceConnection.replace(regions.source.blobUrl, source.url)];
    const vaultConnection = regions.vaultConnection.replace(regions.vault.blobUrl, vault.url);
    const cost = async (name: string, sizeBytes: number): Promise<Requests> => {
      const disk = await makeDisk(regions.sourceConnection, name, sizeBytes, 64 * mib);
      const diskUrl = disk.url.replace(regions.source.blobUrl, source.url);
      const order = { accounts, vaultConnection, vaultContainer: name, diskUrl, backups: 3 };
      // The third: the second has probed the account.
      const report = await runCopier(order, (backup) => {
        if (backup === 2) for (const proxy of [source, vault]) proxy.reset();
      });
      if (report.counts[2]?.changedBytes !== 0) throw new Error("The diff was not believed, or something had changed.");
      return { source: requests(source), vault: requests(vault) };
    };
    const small = await cost("one-gib", 1024 * mib);
    const large = await cost("one-tib", 1024 * 1024 * mib);
    return [
      {
        name: "requests of an unchanged incremental backup",
        value: `1 TiB: ${large.source} + ${large.vault}, 1 GiB: ${small.source} + ${small.vault} (source + vault)`,
        target: `the same for both, but for the index reads of up to ${samples} sampled chunks`,
        met: large.source === small.source && Math.abs(large.vault - small.vault) <= samples,
      },
    ];
  } finally {
    await Promise.all([source.close(), vault.close()]);
    await regions.stop();
  }
}

function requests(proxy: StorageProxy): number {
  return proxy.requests.length;
}
