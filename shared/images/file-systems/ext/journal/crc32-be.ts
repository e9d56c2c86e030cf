/** CRC-32 with its polynomial 0x04c11db7 not reflected and no inversions (crc32_be of the kernel's lib/crc32.c): sums of transactions. */
const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let register = index << 24;
  for (let bit = 0; bit < 8; bit++) register = register < 0 ? (register << 1) ^ 0x04c11db7 : register << 1;
  return register >>> 0;
});

export function crc32Be(seed: number, bytes: Uint8Array): number {
  let register = seed;
  for (const byte of bytes) register = (register << 8) ^ (table[(register >>> 24) ^ byte] ?? 0);
  return register >>> 0;
}
