/** The CRC-32C over metadata of version 5: of the whole structure, with the field that holds it taken as zero, stored little-endian. */
import type { ByteView } from "../../byte-view.ts";
import { crc32cRaw } from "../../crc32c.ts";
import { imageCorrupt } from "../../image-errors.ts";

const zeros = new Uint8Array(4);

export function verifyChecksum(view: ByteView, field: number): void {
  if (view.u32le(field) === checksum(view.bytes, field)) return;
  throw imageCorrupt(view.where, "its checksum does not fit its content");
}

/** Sets the field, as the kernel does when it writes what it replayed. */
export function writeChecksum(bytes: Uint8Array, field: number): void {
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setUint32(field, checksum(bytes, field), true);
}

function checksum(bytes: Uint8Array, field: number): number {
  const before = crc32cRaw(0xffffffff, bytes.subarray(0, field));
  return ~crc32cRaw(crc32cRaw(before, zeros), bytes.subarray(field + 4)) >>> 0;
}
