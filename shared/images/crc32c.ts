/**
 * CRC-32C (Castagnoli, polynomial 0x1EDC6F41, reflected), which ext4, XFS, LVM's neighbours and md put over their metadata. Node has
 * CRC-32 (node:zlib) but not this one.
 *
 * `crc32c(bytes)` is the usual sum: `crc32c("123456789")` is 0xe3069283. `crc32cRaw` is the bare register, without the inversions at
 * the start and the end: ext4 chains sums with it from its own seed.
 */
const table = makeTable();

export function crc32c(bytes: Uint8Array): number {
  return ~crc32cRaw(0xffffffff, bytes) >>> 0;
}

/** `seed` is the register before, the result the register after `bytes`, from 0 to 2^32 - 1. */
export function crc32cRaw(seed: number, bytes: Uint8Array): number {
  let register = seed >>> 0;
  let at = 0;
  // Four bytes a turn ("slicing by four"): metadata of large directories is summed whole.
  for (const end = bytes.length - 3; at < end; at += 4) {
    register ^=
      byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24);
    register =
      entry(3, register & 0xff) ^
      entry(2, (register >>> 8) & 0xff) ^
      entry(1, (register >>> 16) & 0xff) ^
      entry(0, register >>> 24);
  }
  for (; at < bytes.length; at++) register = entry(0, (register ^ byte(bytes, at)) & 0xff) ^ (register >>> 8);
  return register >>> 0;
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function entry(slice: number, index: number): number {
  return table[slice * 256 + index] ?? 0;
}

function makeTable(): Uint32Array {
  const made = new Uint32Array(4 * 256);
  for (let index = 0; index < 256; index++) {
    let register = index;
    for (let bit = 0; bit < 8; bit++) register = register & 1 ? (register >>> 1) ^ 0x82f63b78 : register >>> 1;
    made[index] = register;
  }
  for (let slice = 1; slice < 4; slice++) {
    for (let index = 0; index < 256; index++) {
      const before = made[(slice - 1) * 256 + index] ?? 0;
      made[slice * 256 + index] = (made[before & 0xff] ?? 0) ^ (before >>> 8);
    }
  }
  return made;
}
