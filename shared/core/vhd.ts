/**
 * The footer of a fixed VHD: 512 bytes behind the disk's own (Virtual Hard Disk Image Format Specification 1.0, 2006). It is
 * all that makes a page blob or a file a VHD; everything in it is big-endian.
 *
 * The creator is written as `win ` (Hyper-V). Readers decide by it which size to believe: of a file by `wa\0\0` (what Azure itself
 * writes) qemu before 10.0 believes the geometry, which cannot name every size (104,761,344 of 104,857,600 bytes), and
 * cuts off the end of the disk; by `win ` every version takes the size as it stands.
 */
export const vhdFooterBytes = 512;

/** Seconds between 1970 and 2000-01-01 UTC, where VHD time begins. */
const vhdEpochSeconds = 946_684_800;

export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
}

export interface VhdFooterFields {
  /** Of the disk, without the footer. */
  readonly sizeBytes: number;
  readonly createdAtMs: number;
  /** 16 bytes. */
  readonly uniqueId: Uint8Array;
  /** 4 bytes: who made it, and in which version. Default: Hyper-V. */
  readonly creator?: { readonly application: string; readonly version: number };
}

const hyperV = { application: "win ", version: 0x000a_0000 } as const;

export function buildVhdFooter(fields: VhdFooterFields): Uint8Array<ArrayBuffer> {
  const { sizeBytes, createdAtMs, uniqueId, creator = hyperV } = fields;
  if (sizeBytes % 512 !== 0) throw new RangeError(`A disk is a multiple of 512 bytes, not ${sizeBytes}.`);
  if (uniqueId.length !== 16) throw new RangeError(`A VHD's id has 16 bytes, not ${uniqueId.length}.`);
  const bytes = new Uint8Array(vhdFooterBytes);
  const view = new DataView(bytes.buffer);
  const text = (at: number, value: string): void => bytes.set(new TextEncoder().encode(value), at);
  const { cylinders, heads, sectorsPerTrack } = vhdGeometry(sizeBytes);
  text(0, "conectix");
  view.setUint32(8, 2);
  view.setUint32(12, 0x0001_0000);
  view.setBigUint64(16, 0xffff_ffff_ffff_ffffn);
  view.setUint32(24, Math.max(0, Math.floor(createdAtMs / 1000) - vhdEpochSeconds));
  text(28, creator.application);
  view.setUint32(32, creator.version);
  text(36, "Wi2k");
  view.setBigUint64(40, BigInt(sizeBytes));
  view.setBigUint64(48, BigInt(sizeBytes));
  view.setUint16(56, cylinders);
  view.setUint8(58, heads);
  view.setUint8(59, sectorsPerTrack);
  view.setUint32(60, 2);
  bytes.set(uniqueId, 68);
  view.setUint32(64, checksum(bytes));
  return bytes;
}

/** What the last 512 bytes of a blob or file are. `fixed` only where cookie, type and checksum are right. */
export type VhdFooter =
  | { readonly kind: "fixed"; readonly sizeBytes: number }
  | { readonly kind: "other-vhd"; readonly type: "dynamic" | "differencing" | "unknown" }
  | { readonly kind: "damaged" }
  | { readonly kind: "none" };

export function parseVhdFooter(bytes: Uint8Array): VhdFooter {
  if (bytes.length !== vhdFooterBytes || new TextDecoder("latin1").decode(bytes.subarray(0, 8)) !== "conectix") {
    return { kind: "none" };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(64) !== checksum(bytes)) return { kind: "damaged" };
  const type = view.getUint32(60);
  if (type !== 2) return { kind: "other-vhd", type: type === 3 ? "dynamic" : type === 4 ? "differencing" : "unknown" };
  return { kind: "fixed", sizeBytes: Number(view.getBigUint64(48)) };
}

/**
 * The bytes of the disk that a blob or file of `totalBytes` holds, whose last 512 bytes are `tail`: without the footer where it
 * is that of a fixed VHD of just this size, else all of it. A footer of another size is content: a disk may hold a VHD file.
 */
export function diskBytesOf(totalBytes: number, tail: Uint8Array): number {
  const footer = parseVhdFooter(tail);
  return footer.kind === "fixed" && footer.sizeBytes === totalBytes - vhdFooterBytes ? footer.sizeBytes : totalBytes;
}

/** Cylinders, heads and sectors as the specification's appendix counts them. They may name less than the disk has. */
export function vhdGeometry(sizeBytes: number): Geometry {
  const totalSectors = Math.min(Math.floor(sizeBytes / 512), 65_535 * 16 * 255);
  let sectorsPerTrack: number;
  let heads: number;
  let cylinderTimesHeads: number;
  if (totalSectors >= 65_535 * 16 * 63) {
    sectorsPerTrack = 255;
    heads = 16;
    cylinderTimesHeads = Math.floor(totalSectors / sectorsPerTrack);
  } else {
    sectorsPerTrack = 17;
    cylinderTimesHeads = Math.floor(totalSectors / sectorsPerTrack);
    heads = Math.max(4, Math.floor((cylinderTimesHeads + 1023) / 1024));
    if (cylinderTimesHeads >= heads * 1024 || heads > 16) {
      sectorsPerTrack = 31;
      heads = 16;
      cylinderTimesHeads = Math.floor(totalSectors / sectorsPerTrack);
    }
    if (cylinderTimesHeads >= heads * 1024) {
      sectorsPerTrack = 63;
      heads = 16;
      cylinderTimesHeads = Math.floor(totalSectors / sectorsPerTrack);
    }
  }
  return { cylinders: Math.floor(cylinderTimesHeads / heads), heads, sectorsPerTrack };
}

/** The ones' complement of the sum of all bytes but the checksum's own four. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const [at, byte] of bytes.entries()) {
    if (at < 64 || at >= 68) sum += byte;
  }
  return ~sum >>> 0;
}
