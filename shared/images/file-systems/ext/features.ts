/**
 * The feature bits of ext2, ext3 and ext4 (fs/ext4/ext4.h, EXT4_FEATURE_*). A reader must know every incompatible one that is set; those
 * that are only incompatible with writing do not matter here, but for what they say about checksums and sizes.
 */
import { notSupported } from "../../image-errors.ts";

export interface ExtFeatures {
  readonly compatible: number;
  readonly incompatible: number;
  readonly readOnlyCompatible: number;
}

export const compatible = { hasJournal: 0x4, sparseSuperblocks2: 0x200 } as const;

export const incompatible = {
  fileType: 0x2,
  recover: 0x4,
  journalDevice: 0x8,
  metaGroups: 0x10,
  extents: 0x40,
  wide: 0x80,
  flexGroups: 0x200,
  attributeInodes: 0x400,
  checksumSeed: 0x2000,
  largeDirectories: 0x4000,
  inlineData: 0x8000,
  encrypt: 0x10000,
  caseFold: 0x20000,
} as const;

export const readOnlyCompatible = {
  sparseSuperblocks: 0x1,
  largeFiles: 0x2,
  binaryDirectories: 0x4,
  groupChecksums: 0x10,
  bigAllocation: 0x200,
  metadataChecksums: 0x400,
} as const;

/** Names as dumpe2fs prints them, of those that this reader does not know (and of some that have no name there). */
const unknownNames: ReadonlyMap<number, string> = new Map([
  [0x1, "compression"],
  [incompatible.journalDevice, "journal_dev"],
  [0x1000, "dirdata"],
]);

/** `mmp` (0x100) guards against two writers: there is none here. */
const knownIncompatible =
  incompatible.fileType |
  incompatible.recover |
  incompatible.metaGroups |
  incompatible.extents |
  incompatible.wide |
  0x100 |
  incompatible.flexGroups |
  incompatible.attributeInodes |
  incompatible.checksumSeed |
  incompatible.largeDirectories |
  incompatible.inlineData |
  incompatible.encrypt |
  incompatible.caseFold;

/** Throws `not-supported` with the names of the features without which the file system would be misread. */
export function refuseUnknownFeatures(features: ExtFeatures): void {
  const unknown = features.incompatible & ~knownIncompatible;
  if (unknown === 0) return;
  const names: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    const mask = (1 << bit) >>> 0;
    if ((unknown & mask) !== 0) names.push(unknownNames.get(mask) ?? `incompat bit 0x${mask.toString(16)}`);
  }
  throw notSupported(`An ext file system with the feature ${names.join(", ")}`);
}

/** As blkid(8) tells the three apart: by whether a kernel's driver of that name could read it. */
export function extType(features: ExtFeatures): "ext2" | "ext3" | "ext4" {
  const { sparseSuperblocks, largeFiles, binaryDirectories } = readOnlyCompatible;
  const old =
    (features.readOnlyCompatible & ~(sparseSuperblocks | largeFiles | binaryDirectories)) === 0 &&
    (features.incompatible & ~(incompatible.fileType | incompatible.recover | incompatible.metaGroups)) === 0;
  const journal = (features.compatible & compatible.hasJournal) !== 0;
  if (!old) return "ext4";
  if (journal) return "ext3";
  return (features.incompatible & incompatible.recover) === 0 ? "ext2" : "ext4";
}
