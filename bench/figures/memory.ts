/**
 * Peak memory of the process that copies: a sparse disk of 1 TiB against one of 1 GiB, with the same 192 MiB of data.
 * Not measured: other sources than page blobs; other chunk sizes than 1 MiB.
 */
import type { Figure } from "../support/figure.ts";
import { makeDisk, mib, startRegions } from "../support/regions.ts";
import { runCopier } from "../support/run-copier.ts";

const limitBytes = 300 * mib;
const dataBytes = 192 * mib;

export async function memory(): Promise<Figure[]> {
  const regions = await startRegions();
  try {
    const peak = async (name: string, sizeBytes: number): Promise<number> => {
      const disk = await makeDisk(regions.sourceConnection, name, sizeBytes, dataBytes);
      const report = await runCopier({
        accounts: [regions.sourceConnection],
        vaultConnection: regions.vaultConnection,
        vaultContainer: name,
        diskUrl: disk.url,
        backups: 2,
      });
      return report.peakMemoryBytes;
    };
    const small = await peak("one-gib", 1024 * mib);
    const large = await peak("one-tib", 1024 * 1024 * mib);
    const text = (bytes: number): string => `${(bytes / mib).toFixed(0)} MiB`;
    return [
      { name: "peak memory, 1 GiB disk", value: text(small), target: "< 300 MiB", met: small < limitBytes },
      {
        name: "peak memory, 1 TiB sparse disk",
        value: `${text(large)} (${(large / small).toFixed(2)} × the 1 GiB disk)`,
        target: "< 300 MiB",
        met: large < limitBytes,
      },
    ];
  } finally {
    await regions.stop();
  }
}
