/**
 * What is written next to an unfinished disk, `<disk>.raw.partial.state`: whose work it is, and how far it stands for good. Two slots of
 * one JSON document each, written in turn. A link in its place is never followed: who put it there may mean another file.
 */
import { createHash } from "node:crypto";
import { constants, open, rm, type FileHandle } from "node:fs/promises";
import { z } from "zod";
import { hasErrno } from "./errno.ts";

const schema = z.object({
  formatVersion: z.literal(1),
  /** Counts the writes: the higher of two slots is the newer. */
  revision: z.int().nonnegative(),
  /** Derived from what is restored: the same restore has the same. */
  restoreId: z.string(),
  vaultId: z.string().optional(),
  vmId: z.string().optional(),
  pointId: z.string().optional(),
  disk: z.string(),
  sizeBytes: z.int().nonnegative(),
  format: z.enum(["raw", "vhd"]),
  /** All below it is on the disk, and so is the footer of a VHD where it is the whole size. */
  durableBytes: z.int().nonnegative(),
  /** Device and inode: by them the disk is known again where it has its final name already. */
  fileId: z.string(),
});
export type UnfinishedFile = z.output<typeof schema>;

/** Where a disk's work lies until it gets its name; `url` is the path of the disk. */
export const unfinishedPath = ({ url }: { readonly url: string }): string => `${url}.partial`;

export const statePathOf = (partialPath: string): string => `${partialPath}.state`;

/** Bytes of a slot. Far more than the longest names take. */
const slotBytes = 4096;
/** Letters of the SHA-256 before the document: enough to know a slot that was half-written when the power failed. */
const sumLetters = 32;

/** Undefined where there is none, or none that can be read: then nothing is known of the work next to it. */
export async function readUnfinished(partialPath: string): Promise<UnfinishedFile | undefined> {
  const text = await readSlots(statePathOf(partialPath));
  if (text === undefined) return undefined;
  const slots = [text.slice(0, slotBytes), text.slice(slotBytes, 2 * slotBytes)].map(parseSlot);
  return slots.reduce((best, slot) => (best === undefined || (slot?.revision ?? -1) > best.revision ? slot : best));
}

async function readSlots(path: string): Promise<string | undefined> {
  let handle: FileHandle | undefined;
  try {
    // Without waiting: a pipe in its place has nothing to say.
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2 * slotBytes), 0, 2 * slotBytes, 0);
    return buffer.toString("latin1", 0, bytesRead);
  } catch (error) {
    // ESPIPE: a pipe; EISDIR: a folder; ELOOP: a link.
    if (hasErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "ESPIPE")) return undefined;
    throw error;
  } finally {
    await handle?.close();
  }
}

/** Makes the file anew, with both slots, so that later writes take no more space. */
export async function createUnfinished(partialPath: string, state: UnfinishedFile): Promise<void> {
  await removeUnfinished(partialPath);
  const handle = await open(statePathOf(partialPath), "wx");
  try {
    await handle.writeFile(slotOf(state) + slotOf(state));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces the older slot in place: a power cut leaves the newer one, and a full file system has room for it. */
export async function writeUnfinished(partialPath: string, state: UnfinishedFile): Promise<void> {
  const handle = await open(statePathOf(partialPath), constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    await handle.write(slotOf(state), (state.revision % 2) * slotBytes, "latin1");
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

export async function removeUnfinished(partialPath: string): Promise<void> {
  await rm(statePathOf(partialPath), { force: true });
}

function slotOf(state: UnfinishedFile): string {
  const document = JSON.stringify(state);
  return `${sumOf(document)} ${document}`.padEnd(slotBytes - 1) + "\n";
}

function parseSlot(slot: string): UnfinishedFile | undefined {
  const document = slot.slice(sumLetters + 1).trimEnd();
  if (slot.slice(0, sumLetters) !== sumOf(document)) return undefined;
  try {
    return schema.safeParse(JSON.parse(document)).data;
  } catch {
    return undefined;
  }
}

const sumOf = (document: string): string => createHash("sha256").update(document).digest("hex").slice(0, sumLetters);
