/**
 * ULIDs (github.com/ulid/spec): 48 bits of milliseconds, then 80 bits of chance, in Crockford's base 32. They sort by time.
 * Pure: the caller brings the time and the bytes, so that an id can also be derived from what it names.
 */
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** `tail` is 10 bytes: random, or a hash of what the id stands for. */
export function ulid(epochMs: number, tail: Uint8Array): string {
  if (tail.length !== 10) throw new RangeError(`A ULID ends in 10 bytes, not ${tail.length}.`);
  let bits = BigInt(epochMs);
  for (const byte of tail) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let i = 0; i < 26; i++) {
    text = (alphabet[Number(bits & 31n)] ?? "") + text;
    bits >>= 5n;
  }
  return text;
}

/** The milliseconds since 1970-01-01 UTC that a ULID carries. */
export function ulidEpochMs(id: string): number {
  let ms = 0;
  for (const letter of id.slice(0, 10)) ms = ms * 32 + alphabet.indexOf(letter);
  return ms;
}

/** A ULID turned round, so that ascending order (the only one Table storage has) gives the newest first. Its own inverse. */
export function descendingUlid(id: string): string {
  return Array.from(id, (letter) => alphabet[31 - alphabet.indexOf(letter)] ?? "").join("");
}
