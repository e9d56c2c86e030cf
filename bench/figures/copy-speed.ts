/**
 * A full backup against the raw speed of the same two emulators: the same bytes read in the same ranges and put in objects of the same
 * size with the same parallelism, in turn, in one run. The data is random, so that the stored objects are as large as the raw ones.
 * Not measured: a real network, compressible data (which is faster, for less is put).
 */
import { ratioFigure, type Figure } from "../support/figure.ts";
import { rawCopy } from "../support/raw-copy.ts";
import { makeDisk, mib, startRegions } from "../support/regions.ts";
import { runCopier } from "../support/run-copier.ts";

const diskBytes = 384 * mib;
const rounds = 3;
const target = 0.7;
const atOnce = 6;

export async function copySpeed(): Promise<Figure[]> {
  const ratios: number[] = [];
  let speeds = "";
  for (let round = 0; round < rounds; round++) {
    const regions = await startRegions();
    try {
      const disk = await makeDisk(regions.sourceConnection, "disk", diskBytes, diskBytes);
      const from = { connection: regions.sourceConnection, container: "disks", blob: "disk", sizeBytes: diskBytes };
      const rawSeconds = await rawCopy(from, { connection: regions.vaultConnection, container: "raw" }, atOnce);
      const report = await runCopier({
        accounts: [regions.sourceConnection],
        vaultConnection: regions.vaultConnection,
        vaultContainer: "vault",
        diskUrl: disk.url,
        backups: 1,
        limits: { chunksAtOnce: atOnce },
      });
      const seconds = report.seconds[0] ?? Number.POSITIVE_INFINITY;
      ratios.push(rawSeconds / seconds);
      speeds = `${(diskBytes / mib / seconds).toFixed(0)} of ${(diskBytes / mib / rawSeconds).toFixed(0)} MiB/s in the last round`;
    } finally {
      await regions.stop();
    }
  }
  return [ratioFigure("copy speed against the raw speed of the same emulators", ratios, target, speeds)];
}
