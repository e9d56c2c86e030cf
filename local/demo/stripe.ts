/**
 * A stripe over two disks whose numbers tell whether both were captured at one instant.
 *
 * The writer puts record n first on disk A, then, only after A has acknowledged it, on disk B, and begins record n + 1 only
 * after that. So at every instant the newest number on A is that on B, or one more. A pair of images in which B is ahead of
 * A, or A more than one ahead of B, never existed: it is torn. A guest that was quiesced before the snapshots finishes the
 * record it is writing, so its images carry the same number on both.
 *
 * A record is one sector of 512 bytes: "FSTRIPE1", n as u64 LE, then SHA-256 of those 16 bytes. Record n stands in slot
 * n mod slots, and the ring begins at byte 0 of the disk.
 */
import { createHash } from "node:crypto";

export const recordBytes = 512;
/** Slots in the ring; a power of two, 1 MiB of the disk. */
export const slots = 2048;

const magic = "FSTRIPE1";

export function encodeRecord(n: number): Uint8Array<ArrayBuffer> {
  const record = Buffer.alloc(recordBytes);
  record.write(magic, 0, "latin1");
  record.writeBigUInt64LE(BigInt(n), 8);
  createHash("sha256").update(record.subarray(0, 16)).digest().copy(record, 16);
  return record;
}

export function recordOffset(n: number): number {
  return (n % slots) * recordBytes;
}

/** The number in a slot, or undefined where the slot was never written. Throws on a record that is not whole. */
function decodeRecord(record: Uint8Array): number | undefined {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  if (bytes.every((byte) => byte === 0)) return undefined;
  const sum = createHash("sha256").update(bytes.subarray(0, 16)).digest();
  if (bytes.toString("latin1", 0, 8) !== magic || !sum.equals(bytes.subarray(16, 48))) {
    throw new Error("A stripe record is not whole.");
  }
  return Number(bytes.readBigUInt64LE(8));
}

/** The numbers on one disk: the newest, and whether the ring before it is unbroken. `ring` is its first slots × 512 bytes. */
export function readStripe(ring: Uint8Array): { newest: number; unbroken: boolean } {
  let newest = -1;
  const found = new Map<number, number>();
  for (let slot = 0; slot < slots; slot++) {
    const n = decodeRecord(ring.subarray(slot * recordBytes, (slot + 1) * recordBytes));
    if (n === undefined) continue;
    found.set(slot, n);
    newest = Math.max(newest, n);
  }
  let unbroken = true;
  for (let n = Math.max(0, newest - slots + 1); n <= newest; n++) unbroken &&= found.get(n % slots) === n;
  return { newest, unbroken };
}

export interface StripeVerdict {
  readonly newestA: number;
  readonly newestB: number;
  /** The two images are of one instant. */
  readonly oneInstant: boolean;
}

/** Judges two images by their rings. */
export function judgeStripe(ringA: Uint8Array, ringB: Uint8Array): StripeVerdict {
  const a = readStripe(ringA);
  const b = readStripe(ringB);
  const ahead = a.newest - b.newest;
  return { newestA: a.newest, newestB: b.newest, oneInstant: a.unbroken && b.unbroken && (ahead === 0 || ahead === 1) };
}
