/** All extended attributes of an inode, by the names that programs know. */
import { decodeFileName } from "../../file-name.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { RawAttribute, RemoteValue } from "./attribute-entry.ts";
import { attributeFlags, leafAttributes, shortformAttributes } from "./attribute-entry.ts";
import { ByteView } from "../../byte-view.ts";
import { readForkBlocks } from "./fork-blocks.ts";
import { hashLeaves } from "./hash-tree.ts";
import type { Fork, Inode } from "./inode.ts";
import type { Metadata } from "./metadata.ts";
import { aclNames, showAcl } from "./posix-acl.ts";

/** XFS_XATTR_SIZE_MAX: the longest value that the kernel writes. */
const maxValueBytes = 64 * 1024;
/** Of names and values of one inode. No kernel refuses more, but memory has to be bounded by something; Linux lists 64 KiB of names. */
const maxTotalBytes = 16 * 1024 * 1024;
/** "XARM"; struct xfs_attr3_rmt_hdr, at the start of each block. */
const remoteMagic = 0x5841524d;
const remoteHeaderBytes = 56;

export async function readAttributes(
  metadata: Metadata,
  inode: Inode,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  const fork = inode.attributes;
  if (fork === undefined) return found;
  let total = 0;
  for await (const raw of rawAttributes(metadata, inode, fork, signal)) {
    const name = shownName(raw);
    if (name === undefined) continue;
    const value =
      raw.value instanceof Uint8Array ? raw.value : await readRemote(metadata, inode, fork, raw.value, signal);
    total += raw.name.length + value.length;
    if (total > maxTotalBytes) throw imageCorrupt(inode.where, `its attributes are more than ${maxTotalBytes} bytes`);
    // Copies: the bytes read belong to the cache of metadata.
    found.set(name, name.startsWith("system.") ? showAcl(value, inode.where) : new Uint8Array(value));
  }
  return found;
}

/** Undefined for what programs do not see: pointers to parents, attributes that were being written. */
function shownName(raw: RawAttribute): string | undefined {
  if ((raw.flags & (attributeFlags.parent | attributeFlags.incomplete)) !== 0) return undefined;
  const name = decodeFileName(raw.name);
  if ((raw.flags & attributeFlags.security) !== 0) return `security.${name}`;
  if ((raw.flags & attributeFlags.trusted) === 0) return `user.${name}`;
  return aclNames.get(name) ?? `trusted.${name}`;
}

async function* rawAttributes(
  metadata: Metadata,
  inode: Inode,
  fork: Fork,
  signal: AbortSignal,
): AsyncGenerator<RawAttribute> {
  if (fork.format === "local") {
    yield* shortformAttributes(fork.bytes);
    return;
  }
  // A fork that was emptied stays as one without extents.
  if (fork.format === "extents" && fork.extentCount === 0) return;
  const tree = { metadata, inode, fork, step: 1, root: 0, name: "attribute" };
  for await (const { view } of hashLeaves(tree, 0, signal)) {
    yield* leafAttributes(view, metadata.superblock.features.checksums);
  }
}

async function readRemote(
  metadata: Metadata,
  inode: Inode,
  fork: Fork,
  remote: RemoteValue,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { blockBytes, features } = metadata.superblock;
  if (remote.length > maxValueBytes)
    throw imageCorrupt(inode.where, `an attribute of ${remote.length} bytes is too long`);
  const room = features.checksums ? blockBytes - remoteHeaderBytes : blockBytes;
  const value = new Uint8Array(remote.length);
  let at = 0;
  for (let index = 0; at < value.length; index++) {
    const number = remote.block + index;
    const where = `XFS attribute block ${number} of inode ${inode.number}`;
    const read = await readForkBlocks(metadata, inode, fork, number, 1, where, signal);
    const view = new ByteView(read.bytes, where);
    const length = Math.min(room, value.length - at);
    if (features.checksums) verifyRemote(metadata, inode, view, read.block, at, length);
    value.set(view.slice(blockBytes - room, length), at);
    at += length;
  }
  return value;
}

function verifyRemote(
  metadata: Metadata,
  inode: Inode,
  view: ByteView,
  block: number,
  offset: number,
  length: number,
): void {
  if (view.u32be(0) !== remoteMagic) throw imageCorrupt(view.where, "it has no header of a value");
  metadata.verify(view, block, { checksum: 12, address: 40, uuid: 16, owner: { at: 32, inode: inode.number } });
  const fits = view.u32be(4) === offset && view.u32be(8) === length;
  if (!fits) throw imageCorrupt(view.where, "it is another part of the value");
}
