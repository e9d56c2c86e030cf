/**
 * Replays an inode item: the core, and what changed of the forks (xlog_recover_inode_commit_pass2). The core is logged in the order of
 * bytes of the machine (struct xfs_log_dinode), forks as they are on disk; but for roots of extent trees, which have the form of a block.
 */
import { ByteView } from "../../../byte-view.ts";
import { imageCorrupt } from "../../../image-errors.ts";
import { writeChecksum } from "../checksum.ts";
import { coreBytes, inodeMagic } from "../inode.ts";
import { validLsn } from "./buffer-header.ts";
import { convertCore } from "./inode-core.ts";
import type { LogItem } from "./log-item.ts";
import { regionOf } from "./log-item.ts";
import type { Replay } from "./replay.ts";

/** XFS_ILOG_*. The owner flags ask to rewrite owners in extent trees after a swap of extents; this reader does not compare these. */
const fields = { data: 0x002, extents: 0x004, root: 0x008, device: 0x010 } as const;
const attributeFields = { data: 0x040, extents: 0x080, root: 0x100 } as const;

interface InodeFormat {
  readonly fields: number;
  readonly inode: number;
  readonly device: number;
  readonly sector: number;
  readonly sectorCount: number;
  readonly byteOffset: number;
}

export async function replayInode(replay: Replay, item: LogItem, lsn: bigint, signal: AbortSignal): Promise<void> {
  const { superblock, blocks, cancelled } = replay;
  const { checksums } = superblock.features;
  const format = parseFormat(regionOf(item.regions, 0, "XFS log"));
  // The inodes were freed later, and their blocks.
  if (cancelled.has(format)) return;
  const where = `XFS inode ${format.inode} in the log`;
  const offset = format.sector * 512 + format.byteOffset;
  if (format.byteOffset < 0 || format.byteOffset % superblock.inodeBytes !== 0)
    throw imageCorrupt(where, "it has no place");
  const bytes = await blocks.read(offset, superblock.inodeBytes, where, signal);
  const inode = new ByteView(bytes, where);
  const core = regionOf(item.regions, 1, where);
  if (inode.u16be(0) !== inodeMagic) throw imageCorrupt(where, "its place on disk holds no inode");
  if (core.u16le(0) !== inodeMagic) throw imageCorrupt(where, "its item holds no inode");
  if (checksums ? isNewerByLsn(inode, lsn) : isNewerByCount(inode, core)) return;
  convertCore(core, bytes, checksums ? lsn : undefined);
  copyForks(inode, bytes, format, item);
  if (checksums) writeChecksum(bytes, 100);
  await blocks.write(offset, bytes, where, signal);
}

/** Of 56 bytes, or of 52 where a 32-bit kernel wrote it. */
function parseFormat(view: ByteView): InodeFormat {
  const shift = view.length === 52 ? -4 : 0;
  const sectorCount = view.i32le(48 + shift);
  if (view.length < 52 || sectorCount < 1) throw imageCorrupt(view.where, "the format of an inode is not valid");
  return {
    fields: view.u32le(4),
    inode: view.u64le(16 + shift),
    device: view.u32le(24 + shift),
    sector: view.u64le(40 + shift),
    sectorCount,
    byteOffset: view.i32le(52 + shift),
  };
}

function isNewerByLsn(inode: ByteView, lsn: bigint): boolean {
  const onDisk = validLsn(inode.big64be(112));
  // Equal does not say that the inode has this change: several transactions may have one number.
  return onDisk !== undefined && onDisk > lsn;
}

/** di_flushiter counts the writes of an inode of version 4, and begins again after 0xffff (DI_MAX_FLUSH). */
function isNewerByCount(inode: ByteView, core: ByteView): boolean {
  const [onDisk, logged] = [inode.u16be(30), core.u16le(30)];
  return logged < onDisk && !(onDisk === 0xffff && logged < 0x7fff);
}

function copyForks(inode: ByteView, bytes: Uint8Array, format: InodeFormat, item: LogItem): void {
  const start = inode.u8(4) === 3 ? coreBytes.version3 : coreBytes.old;
  const split = inode.u8(82) * 8;
  const whole = bytes.length - start;
  if (split >= whole && split > 0) throw imageCorrupt(inode.where, "its attribute fork begins beyond its end");
  const data = bytes.subarray(start, start + (split === 0 ? whole : split));
  if ((format.fields & fields.device) !== 0) {
    new DataView(data.buffer, data.byteOffset, data.length).setUint32(0, format.device);
  }
  let next = 2;
  if ((format.fields & (fields.data | fields.extents | fields.root)) !== 0) {
    copyFork(data, regionOf(item.regions, next, inode.where), (format.fields & fields.root) !== 0);
    next += 1;
  }
  if ((format.fields & (attributeFields.data | attributeFields.extents | attributeFields.root)) !== 0) {
    const attributes = bytes.subarray(start + split);
    if (split === 0) throw imageCorrupt(inode.where, "it has no attribute fork");
    copyFork(attributes, regionOf(item.regions, next, inode.where), (format.fields & attributeFields.root) !== 0);
  }
}

function copyFork(fork: Uint8Array, region: ByteView, isRoot: boolean): void {
  if (isRoot) {
    copyRoot(fork, region);
    return;
  }
  if (region.length > fork.length) throw imageCorrupt(region.where, "a fork is longer than its place");
  fork.set(region.bytes);
}

/** A block of an extent tree becomes struct xfs_bmdr_block: level and count, keys for as many as would fit, then pointers. */
function copyRoot(fork: Uint8Array, region: ByteView): void {
  // BMA3 or BMAP: the memory of a root has the header of the version.
  const header = region.u32be(0) === 0x424d4133 ? 72 : 24;
  const count = region.u16be(6);
  const fromPointers = header + Math.floor((region.length - header) / 16) * 8;
  const most = Math.floor((fork.length - 4) / 16);
  if (count > most) throw imageCorrupt(region.where, `a root of ${count} pointers does not fit into its fork`);
  fork.set(region.slice(4, 4), 0);
  fork.set(region.slice(header, count * 8), 4);
  fork.set(region.slice(fromPointers, count * 8), 4 + most * 8);
}
