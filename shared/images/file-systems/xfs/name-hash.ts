/** The hash of names in directories (xfs_da_hashname): seven bits of rotation for each byte, four bytes at a time. */
export function nameHash(name: Uint8Array): number {
  let hash = 0;
  let at = 0;
  for (; name.length - at >= 4; at += 4) {
    const [one, two, three, four] = [byte(name, at), byte(name, at + 1), byte(name, at + 2), byte(name, at + 3)];
    hash = ((one << 21) ^ (two << 14) ^ (three << 7) ^ four ^ rotate(hash, 28)) >>> 0;
  }
  for (; at < name.length; at++) hash = (byte(name, at) ^ rotate(hash, 7)) >>> 0;
  return hash;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function byte(name: Uint8Array, at: number): number {
  return name[at] ?? 0;
}
