/** Times of files: nanoseconds since 1970-01-01 UTC, as file systems keep them. */
const nsPerSecond = 1_000_000_000n;
/** 0000-01-01 and the second after 9999-12-31: RFC 3339 has years of four digits only. */
const firstSecond = -62_167_219_200n;
const endSecond = 253_402_300_800n;

/** RFC 3339, UTC, with nine decimals; undefined for an instant that RFC 3339 cannot say. */
export function fileTimeText(ns: bigint): string | undefined {
  const { seconds, nanoseconds } = splitFileTime(ns);
  if (seconds < firstSecond || seconds >= endSecond) return undefined;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(nanoseconds).padStart(9, "0")}Z`;
}

/** `nanoseconds` is from 0 to 999,999,999, before 1970 too. */
export function splitFileTime(ns: bigint): { readonly seconds: bigint; readonly nanoseconds: number } {
  const rest = ((ns % nsPerSecond) + nsPerSecond) % nsPerSecond;
  return { seconds: (ns - rest) / nsPerSecond, nanoseconds: Number(rest) };
}

/** Milliseconds since 1970-01-01 UTC, held within what `Date` can say. */
export function fileTimeMs(ns: bigint): number {
  // ECMA-262, 21.4.1.1: 8.64e15 ms on both sides.
  return Math.min(8.64e15, Math.max(-8.64e15, Number(ns) / 1e6));
}
