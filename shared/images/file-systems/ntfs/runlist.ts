/**
 * Mapping pairs: which clusters of the volume (LCN) the clusters of an attribute (VCN) are. Each run is a byte with the lengths of two
 * little-endian numbers: how many clusters, and how far the first is from the first of the run before (signed; missing where the run is
 * sparse). Format: [MS-FSCC] names it; fs/ntfs3/run.c, `run_unpack`.
 */
import { imageCorrupt } from "../../image-errors.ts";

export interface Run {
  readonly vcn: number;
  /** At least 1. */
  readonly clusters: number;
  /** `undefined`: sparse, reads as zeros. */
  readonly lcn: number | undefined;
}

/** `clusterCount` is that of the volume. Memory: one run. */
export function* decodeRuns(pairs: Uint8Array, lowestVcn: number, clusterCount: number, where: string): Generator<Run> {
  let vcn = lowestVcn;
  let lcn = 0;
  for (let at = 0; at < pairs.length;) {
    const header = pairs[at] ?? 0;
    if (header === 0) return;
    const [lengthBytes, offsetBytes] = [header & 15, header >> 4];
    if (lengthBytes < 1 || lengthBytes > 8 || offsetBytes > 8 || at + 1 + lengthBytes + offsetBytes > pairs.length) {
      throw imageCorrupt(where, `the run at byte ${at} of its mapping pairs does not fit`);
    }
    const clusters = signed(pairs, at + 1, lengthBytes);
    lcn += signed(pairs, at + 1 + lengthBytes, offsetBytes);
    const sparse = offsetBytes === 0;
    const fits = clusters >= 1 && Number.isSafeInteger(vcn + clusters);
    if (!fits || (!sparse && (lcn < 0 || lcn + clusters > clusterCount))) {
      throw imageCorrupt(where, `a run of ${clusters} clusters at ${lcn} is not within the volume`);
    }
    yield { vcn, clusters, lcn: sparse ? undefined : lcn };
    vcn += clusters;
    at += 1 + lengthBytes + offsetBytes;
  }
}

/** Beyond 2^53 it is not exact, and refused as outside the volume. */
function signed(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let byte = length - 1; byte >= 0; byte--) value = value * 256 + (bytes[at + byte] ?? 0);
  const negative = length > 0 && (bytes[at + length - 1] ?? 0) >= 128;
  return negative ? value - 256 ** length : value;
}

/** The part of a run within [from, until); `undefined` where there is none. */
export function clipRun(run: Run, from: number, until: number): Run | undefined {
  const start = Math.max(run.vcn, from);
  const end = Math.min(run.vcn + run.clusters, until);
  if (start >= end) return undefined;
  return { vcn: start, clusters: end - start, lcn: run.lcn === undefined ? undefined : run.lcn + start - run.vcn };
}
