/** The target of a symbolic link: in the inode, or in blocks, which in version 5 begin with a header for each extent. */
import { imageCorrupt } from "../../image-errors.ts";
import { extentsFrom } from "./extents.ts";
import type { Inode } from "./inode.ts";
import type { Metadata } from "./metadata.ts";

/** XFS_SYMLINK_MAXLEN. */
const maxLength = 1024;
/** "XSLM"; struct xfs_dsymlink_hdr. */
const magic = 0x58534c4d;
const headerBytes = 56;

export async function readTarget(metadata: Metadata, inode: Inode, signal: AbortSignal): Promise<Uint8Array> {
  const { data, sizeBytes, where } = inode;
  if (sizeBytes > maxLength || sizeBytes === 0)
    throw imageCorrupt(where, `a link of ${sizeBytes} bytes is not possible`);
  if (data.format === "local") return data.bytes.slice(0, sizeBytes);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const extent of extentsFrom(metadata, inode, data, 0, signal)) {
    const blocks = Math.min(extent.count, Math.ceil((maxLength + headerBytes) / metadata.superblock.blockBytes) + 2);
    const part = await readPart(metadata, inode, extent.block, blocks, length, signal);
    parts.push(part.subarray(0, sizeBytes - length));
    length += Math.min(part.length, sizeBytes - length);
    if (length === sizeBytes) return Buffer.concat(parts);
  }
  throw imageCorrupt(where, "its target is not complete");
}

async function readPart(
  metadata: Metadata,
  inode: Inode,
  block: number,
  count: number,
  offset: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const where = `XFS link target at byte ${offset} of inode ${inode.number}`;
  const view = await metadata.blocks(block, count, where, signal);
  if (!metadata.superblock.features.checksums) return view.bytes;
  if (view.u32be(0) !== magic) throw imageCorrupt(where, "it has no header of a link");
  metadata.verify(view, block, { checksum: 12, address: 40, uuid: 16, owner: { at: 32, inode: inode.number } });
  if (view.u32be(4) !== offset) throw imageCorrupt(where, "it is another part of the target");
  return view.slice(headerBytes, Math.min(view.u32be(8), view.length - headerBytes));
}
