/** Extended attributes of an inode: in the inode after its fields, in a block of their own, large values in inodes of theirs. */
import type { ByteView } from "../../byte-view.ts";
import { crc32cRaw } from "../../crc32c.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { AttributeEntry } from "./attribute-entries.ts";
import { attributeEntries, bodyEntries, magic } from "./attribute-entries.ts";
import { shownAttribute } from "./attribute-names.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { readBlock } from "./ext-volume.ts";
import { readExactly } from "./file-content.ts";
import type { ExtInode } from "./inode.ts";
import { isSet } from "./inode.ts";
import { littleEndian64 } from "./number-bytes.ts";
import { readAnyInode } from "./inode-table.ts";
import { checksums } from "./superblock.ts";

const blockHeaderBytes = 32;
const checksumAt = 0x10;
/** What one node may hold in all. The kernel lists at most 64 KiB of names; tools write kilobytes. */
const maxTotalBytes = 16 * 1024 * 1024;

export async function readAttributes(
  volume: ExtVolume,
  inode: ExtInode,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const shown = new Map<string, Uint8Array>();
  let totalBytes = 0;
  const add = async (entry: AttributeEntry): Promise<void> => {
    const value = entry.valueInode === 0 ? entry.inline : await readValueInode(volume, inode, entry, signal);
    totalBytes += value.length;
    if (totalBytes > maxTotalBytes) throw imageCorrupt(inode.where, "its extended attributes are more than 16 MiB");
    const attribute = shownAttribute(entry.nameIndex, entry.name, value, inode.where);
    // What lies in the inode is found first.
    if (attribute !== undefined && !shown.has(attribute[0])) shown.set(...attribute);
  };
  for (const entry of bodyEntries(inode)) await add(entry);
  if (inode.attributeBlock !== 0) {
    const block = await readAttributeBlock(volume, inode, signal);
    for (const entry of attributeEntries(block, blockHeaderBytes, 0)) await add(entry);
  }
  return shown;
}

async function readAttributeBlock(volume: ExtVolume, inode: ExtInode, signal: AbortSignal): Promise<ByteView> {
  const { attributeBlock } = inode;
  const where = `${inode.where}, attribute block ${attributeBlock}`;
  const view = await readBlock(volume, attributeBlock, where, signal);
  if (view.u32le(0) !== magic) throw imageCorrupt(where, "it has not the magic number of one");
  if (checksums(volume.superblock)) {
    const start = crc32cRaw(volume.superblock.checksumSeed, littleEndian64(attributeBlock));
    const before = crc32cRaw(start, view.slice(0, checksumAt));
    const after = view.slice(checksumAt + 4, view.length - checksumAt - 4);
    if (crc32cRaw(crc32cRaw(before, new Uint8Array(4)), after) !== view.u32le(checksumAt)) {
      throw imageCorrupt(where, "its checksum is wrong");
    }
  }
  return view;
}

/** ext4_xattr_inode_get: the value's hash stands in the inode; Lustre's older kind says whose value it is instead. */
async function readValueInode(
  volume: ExtVolume,
  owner: ExtInode,
  entry: AttributeEntry,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const where = `${owner.where}, attribute inode ${entry.valueInode}`;
  if (entry.valueInode > volume.superblock.inodes) throw imageCorrupt(where, "there is no such inode");
  const inode = await readAnyInode(volume, entry.valueInode, signal);
  if (!isSet(inode, "attributeValue")) throw imageCorrupt(where, "it is not marked as an attribute's value");
  if (inode.sizeBytes !== entry.valueBytes) throw imageCorrupt(where, `it has ${inode.sizeBytes} bytes`);
  const value = await readExactly(volume, inode, signal);
  const theirs = inode.modifiedSeconds === owner.number && inode.generation === owner.generation;
  if (crc32cRaw(volume.superblock.checksumSeed, value) !== inode.accessedSeconds && !theirs) {
    throw imageCorrupt(where, "the hash of its value is wrong");
  }
  return value;
}
