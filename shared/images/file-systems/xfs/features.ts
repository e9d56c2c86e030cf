/**
 * What a superblock says that its file system uses (fs/xfs/libxfs/xfs_format.h of Linux: XFS_SB_VERSION_*, XFS_SB_FEAT_*). A reader
 * may ignore what changes only how space is accounted for (ro_compat); what changes the shape of what it reads (incompat) it knows, or
 * refuses by name.
 */
import type { ByteView } from "../../byte-view.ts";
import { notSupported } from "../../image-errors.ts";

export interface XfsFeatures {
  /** Version 5: metadata describes and checks itself. */
  readonly checksums: boolean;
  /** Directory entries say what kind they are. */
  readonly fileTypes: boolean;
  /** Names are compared without regard to the case of ASCII letters. */
  readonly ignoresCase: boolean;
  /** Log records may be larger than 32 KiB. */
  readonly largeLogRecords: boolean;
  /** The kernel refuses to mount it before xfs_repair ran. */
  readonly needsRepair: boolean;
  /** Bits of the log's format that this reader does not know; a log with them cannot be replayed. */
  readonly unknownLogBits: number;
}

/** sb_versionnum: the low four bits are the version, the others features of version 4. */
const version4 = { logV2: 0x0400, directoryV2: 0x2000, ignoresCase: 0x4000, moreBits: 0x8000 } as const;
/** sb_features2 of version 4. */
const fileTypes4 = 0x0200;

/** sb_features_incompat. A name is missing where the reader knows the feature. */
const incompatible: ReadonlyMap<number, string> = new Map([
  [0x100, "the metadata directory tree (metadir)"],
  [0x200, "zoned storage (zoned)"],
  [0x400, "gaps in zones (zone_gaps)"],
]);
/** ftype, sparse inodes, metadata uuid, bigtime, needsrepair, nrext64, exchange range, parent pointers. */
const knownIncompatible = 0xff;
const fileTypes5 = 0x01;
const metadataUuid = 0x04;
const needsRepair = 0x10;
/** sb_features_log_incompat: intents of extended attributes. */
const knownLogBits = 0x01;

export function parseFeatures(sb: ByteView): XfsFeatures {
  const bits = sb.u16be(100);
  const version = bits & 0x0f;
  if (version === 5) return parseVersion5(sb);
  if (version !== 4) throw notSupported(`XFS version ${version}`);
  if ((bits & version4.directoryV2) === 0) throw notSupported("XFS with directories of version 1");
  const more = (bits & version4.moreBits) === 0 ? 0 : sb.u32be(200);
  return {
    checksums: false,
    fileTypes: (more & fileTypes4) !== 0,
    ignoresCase: (bits & version4.ignoresCase) !== 0,
    largeLogRecords: (bits & version4.logV2) !== 0,
    needsRepair: false,
    unknownLogBits: 0,
  };
}

/** Where the uuid lies that metadata carries: sb_meta_uuid once the visible one was changed, else sb_uuid. */
export function metadataUuidOffset(sb: ByteView): number {
  return (sb.u16be(100) & 0x0f) === 5 && (sb.u32be(216) & metadataUuid) !== 0 ? 248 : 32;
}

function parseVersion5(sb: ByteView): XfsFeatures {
  const incompat = sb.u32be(216);
  refuseUnknown(incompat & ~knownIncompatible);
  return {
    checksums: true,
    fileTypes: (incompat & fileTypes5) !== 0,
    ignoresCase: (sb.u16be(100) & version4.ignoresCase) !== 0,
    largeLogRecords: true,
    needsRepair: (incompat & needsRepair) !== 0,
    unknownLogBits: (sb.u32be(220) & ~knownLogBits) >>> 0,
  };
}

function refuseUnknown(bits: number): void {
  for (let bit = 0; bit < 32; bit++) {
    const mask = (1 << bit) >>> 0;
    if ((bits & mask) === 0) continue;
    throw notSupported(`XFS with ${incompatible.get(mask) ?? `the incompatible feature 0x${mask.toString(16)}`}`);
  }
}
