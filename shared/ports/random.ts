export interface Random {
  /** `count` bytes fit for keys and nonces. */
  bytes(count: number): Uint8Array<ArrayBuffer>;
}

/** From 0 up to, not including, 1. */
export function fraction(random: Random): number {
  const bytes = random.bytes(4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32;
}
