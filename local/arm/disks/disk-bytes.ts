/** A disk's bytes as its SAS shows them: the disk, and behind it the 512 bytes of a fixed VHD's footer. */
import { randomBytes } from "node:crypto";
import { buildVhdFooter, vhdFooterBytes } from "../../../shared/core/vhd.ts";
import type { Bytes, DiskStore } from "./disk-store.ts";

export const footerBytes = vhdFooterBytes;

/** The disk's own size. */
export function diskBytes(bytes: Bytes): number {
  return bytes.sizeBytes - footerBytes;
}

/** An empty disk. */
export async function newDiskBytes(store: DiskStore, sizeBytes: number, now: number): Promise<Bytes> {
  const bytes = store.create(sizeBytes + footerBytes);
  await writeFooter(store, bytes, now);
  return bytes;
}

/** The same disk, larger: the old footer becomes part of the disk, as zeros, and a new one stands at its end. */
export async function grownBytes(store: DiskStore, bytes: Bytes, sizeBytes: number, now: number): Promise<Bytes> {
  const grown = { ...bytes, sizeBytes: sizeBytes + footerBytes };
  store.clear(grown, diskBytes(bytes), footerBytes);
  await writeFooter(store, grown, now);
  return grown;
}

async function writeFooter(store: DiskStore, bytes: Bytes, now: number): Promise<void> {
  const sizeBytes = diskBytes(bytes);
  await store.write(bytes, sizeBytes, buildVhdFooter({ sizeBytes, createdAtMs: now, uniqueId: randomBytes(16) }));
}
