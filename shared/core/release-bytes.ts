/**
 * Gives the memory of bytes back at once, without waiting for the garbage collector, which does not hurry: it counts a buffer as the
 * few words that stand for it. Nobody may use the bytes any more; they are empty from here on. Bytes that share their buffer with
 * others are left alone.
 */
export function releaseBytes(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength) buffer.transfer(0);
}
