/**
 * The chain of a VM's restore points: each manifest carries the `mac` of the one before it, so that none can be taken away or put in
 * between unnoticed. What has expired stays in the chain by its tombstone.
 */
import type { PointId } from "../ids.ts";

export interface ChainLink {
  readonly pointId: PointId;
  /** A manifest that counts, a tombstone without one, or something unreadable that could have been either. */
  readonly kind: "manifest" | "tombstone" | "damaged";
  /** Undefined where damaged. */
  readonly mac?: string;
  readonly previousMac?: string;
  /** Of a manifest. */
  readonly keyEpoch?: number;
}

export interface ChainBreak {
  readonly pointId: PointId;
  readonly what: string;
}

/** `links` in order of point id, void ones left out. A manifest whose predecessor may be a damaged one is believed. */
export function findChainBreaks(links: readonly ChainLink[]): readonly ChainBreak[] {
  const breaks: ChainBreak[] = [];
  for (const [at, link] of links.entries()) {
    const what = link.kind === "manifest" ? whatIsBroken(link, links.slice(0, at)) : undefined;
    if (what !== undefined) breaks.push({ pointId: link.pointId, what });
  }
  return breaks;
}

function whatIsBroken(link: ChainLink, before: readonly ChainLink[]): string | undefined {
  const nearest = before.findLast((one) => one.kind !== "damaged");
  if (nearest?.keyEpoch !== undefined && nearest.keyEpoch > (link.keyEpoch ?? 0)) {
    return `it is signed by an older key (epoch ${link.keyEpoch ?? 0}) than ${nearest.pointId} before it`;
  }
  if (link.previousMac !== undefined && nearest?.mac === link.previousMac) return undefined;
  if (link.previousMac !== undefined && before.some((one) => one.mac === link.previousMac)) {
    return `it follows an older restore point than ${nearest?.pointId}, which stands before it`;
  }
  if (before.some((one) => one.kind === "damaged")) return undefined;
  if (link.previousMac !== undefined) return "the restore point that it follows is gone and has left no tombstone";
  return nearest === undefined ? undefined : `it says that it is the first, and ${nearest.pointId} stands before it`;
}
