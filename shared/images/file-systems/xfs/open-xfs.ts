/** Opens an XFS: its superblock, its log replayed in memory, its root. See docs/images/xfs.md. */
import type { BlockDevice } from "../../../ports/block-device.ts";
import type { FileSystem } from "../../../ports/file-system.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { ByteView } from "../../byte-view.ts";
import { readInode } from "./inode.ts";
import { replayLog } from "./log/replay-log.ts";
import { Metadata } from "./metadata.ts";
import type { Superblock } from "./superblock.ts";
import { maxSectorBytes, parseSuperblock, superblockMagic } from "./superblock.ts";
import { XfsFileSystem } from "./xfs-file-system.ts";

/** Throws `image-corrupt` where its superblock or root is damaged, `not-supported` for a feature that changes what is read. */
export async function openXfs(device: BlockDevice, signal: AbortSignal): Promise<FileSystem> {
  const before = await readSuperblock(device, signal);
  const { device: replayed, state } = await replayLog(before, device, signal);
  // The log may hold a newer superblock: of a file system that was grown, or whose label changed.
  const metadata = new Metadata(await readSuperblock(replayed, signal), replayed);
  const root = await readInode(metadata, metadata.superblock.rootInode, signal);
  if (root.kind !== "directory") throw imageCorrupt(root.where, "the root is no directory");
  return new XfsFileSystem(metadata, state);
}

/** By its mark alone. */
export async function probeXfs(device: BlockDevice, signal: AbortSignal): Promise<"xfs" | undefined> {
  if (device.sizeBytes < 512) return undefined;
  const view = new ByteView(await device.read(0, 4, signal), "XFS superblock");
  return view.u32be(0) === superblockMagic ? "xfs" : undefined;
}

async function readSuperblock(device: BlockDevice, signal: AbortSignal): Promise<Superblock> {
  const bytes = await device.read(0, Math.min(maxSectorBytes, device.sizeBytes), signal);
  return parseSuperblock(bytes, device.sizeBytes);
}
