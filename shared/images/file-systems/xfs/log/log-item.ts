/**
 * Items of transactions: what was changed, each in regions of bytes. They are written in the order of bytes of the machine: little-endian,
 * but for what is a copy of the disk.
 */
import { ByteView } from "../../../byte-view.ts";
import { imageCorrupt } from "../../../image-errors.ts";

export interface LogItem {
  /** XFS_LI_*. */
  readonly type: number;
  /** The first is its format. */
  readonly regions: readonly ByteView[];
}

export const itemTypes = {
  inode: 0x123b,
  buffer: 0x123c,
  quota: 0x123d,
  quotaOff: 0x123e,
  createInodes: 0x123f,
} as const;

/** Something that is announced in one transaction and done in later ones; `done` is the type of the item that ends it. */
export interface IntentKind {
  readonly name: string;
  readonly intent: number;
  readonly done: number;
  /** Whether finishing it changes what files are or hold, and not only how space is accounted for. */
  readonly visible: boolean;
}

export const intentKinds: readonly IntentKind[] = [
  { name: "EFI (free extents)", intent: 0x1236, done: 0x1237, visible: false },
  { name: "RUI (reverse mappings)", intent: 0x1240, done: 0x1241, visible: false },
  { name: "CUI (reference counts)", intent: 0x1242, done: 0x1243, visible: false },
  { name: "BUI (map extents of a file)", intent: 0x1244, done: 0x1245, visible: true },
  { name: "ATTRI (set an attribute)", intent: 0x1246, done: 0x1247, visible: true },
  { name: "XMI (exchange extents of two files)", intent: 0x1248, done: 0x1249, visible: true },
  { name: "EFI (free realtime extents)", intent: 0x124a, done: 0x124b, visible: false },
  { name: "RUI (realtime reverse mappings)", intent: 0x124c, done: 0x124d, visible: false },
  { name: "CUI (realtime reference counts)", intent: 0x124e, done: 0x124f, visible: false },
];

export function parseItem(regions: readonly Uint8Array[], where: string): LogItem {
  const views = regions.map((bytes) => new ByteView(bytes, `item of the ${where}`));
  const format = regionOf(views, 0, where);
  return { type: format.u16le(0), regions: views };
}

export function regionOf(regions: readonly ByteView[], index: number, where: string): ByteView {
  const region = regions[index];
  if (region === undefined) throw imageCorrupt(where, `an item has no region ${index}`);
  return region;
}

/** struct xfs_buf_log_format: which 128-byte chunks of a buffer the other regions hold. */
export interface BufferFormat {
  readonly flags: number;
  /** In sectors of 512 bytes, as all addresses in the log. */
  readonly sector: number;
  readonly sectorCount: number;
  readonly chunks: readonly ChunkRun[];
}

/** Bytes of the buffer. */
export interface ChunkRun {
  readonly offset: number;
  readonly length: number;
}

export const chunkBytes = 128;
/** XFS_BLF_*. */
export const bufferFlags = { inodes: 0x01, cancel: 0x02, quota: 0x1c } as const;
/** XFS_MAX_BLOCKSIZE, in sectors. */
const maxSectors = 128;

export function parseBufferFormat(view: ByteView): BufferFormat {
  const [flags, sectorCount] = [view.u16le(4), view.u16le(6)];
  if (sectorCount < 1 || sectorCount > maxSectors)
    throw imageCorrupt(view.where, `a buffer cannot have ${sectorCount} sectors`);
  // A cancelled buffer has no content, and its map is not used.
  const chunks = (flags & bufferFlags.cancel) === 0 ? chunkRuns(view, sectorCount) : [];
  return { flags, sectorCount, sector: view.u64le(8), chunks };
}

function chunkRuns(view: ByteView, sectorCount: number): ChunkRun[] {
  const words = view.u32le(16);
  const runs: ChunkRun[] = [];
  let start: number | undefined;
  const count = Math.min(words * 32, (sectorCount * 512) / chunkBytes);
  for (let chunk = 0; chunk <= count; chunk++) {
    const isSet = chunk < count && (view.u32le(20 + Math.floor(chunk / 32) * 4) & (1 << (chunk % 32))) !== 0;
    if (isSet) start ??= chunk;
    if (isSet || start === undefined) continue;
    runs.push({ offset: start * chunkBytes, length: (chunk - start) * chunkBytes });
    start = undefined;
  }
  return runs;
}
