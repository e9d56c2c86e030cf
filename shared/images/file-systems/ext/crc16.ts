/** CRC-16 (polynomial 0x8005, reflected; lib/crc16.c of the kernel), which ext4 without metadata_csum puts over group descriptors. */
export function crc16(seed: number, bytes: Uint8Array): number {
  let register = seed;
  for (const byte of bytes) {
    register ^= byte;
    for (let bit = 0; bit < 8; bit++) register = register & 1 ? (register >>> 1) ^ 0xa001 : register >>> 1;
  }
  return register;
}
