/**
 * Times of FAT: the clock on the wall, without a zone, from 1980. They are read as UTC: nothing on the volume says where the clock hung.
 * Source: fatgen103, "Date and Time Formats".
 */

/** Nanoseconds since 1970. A date that is none (0 says "not known") gives `undefined`. `tens`: hundredths of a second to be added. */
export function fatTimeNs(date: number, time: number, tens: number): bigint | undefined {
  const [year, month, day] = [1980 + (date >> 9), (date >> 5) & 15, date & 31];
  const [hour, minute, second] = [time >> 11, (time >> 5) & 63, (time & 31) * 2];
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return undefined;
  return BigInt(Date.UTC(year, month - 1, day, hour, minute, second) + Math.min(tens, 199) * 10) * 1_000_000n;
}
