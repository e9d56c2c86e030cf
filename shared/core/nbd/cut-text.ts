/** The text as UTF-8, cut at a letter so that it has at most `limit` bytes. */
export function cutText(text: string, limit: number): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= limit) return bytes;
  let end = limit;
  // Bytes 10xxxxxx go on with a letter that began before.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}
