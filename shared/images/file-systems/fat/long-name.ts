/**
 * Long names ("VFAT"): entries of 13 UTF-16 units each, the last part first, directly before the short entry whose name they are. Entries
 * that do not belong together or to the short one were left by a system that does not know them, and are not shown.
 * Source: fatgen103, "Long File Name Implementation".
 */
import { decodeUtf16Name } from "../../utf16-name.ts";

const lastMark = 0x40;
const unitsPerEntry = 13;
/** 255 units. */
const mostEntries = 20;
/** Where the units lie in an entry: offset and bytes. */
const pieces = [
  [1, 10],
  [14, 12],
  [28, 4],
] as const;

/** Collects the entries as they come; `take` gives the name if it is whole and of the short name with that sum. */
export class LongNameParts {
  #sum = 0;
  /** The number that the next entry must have; 0 when all are there. */
  #missing = 0;
  #parts: Uint8Array[] = [];

  add(entry: Uint8Array): void {
    const order = entry[0] ?? 0;
    const number = order & ~lastMark;
    const sum = entry[13] ?? 0;
    if ((order & lastMark) !== 0 && number >= 1 && number <= mostEntries) {
      this.#parts = [];
      this.#sum = sum;
    } else if (this.#parts.length === 0 || number !== this.#missing || number === 0 || sum !== this.#sum) {
      this.clear();
      return;
    }
    this.#parts.unshift(...pieces.map(([at, length]) => entry.subarray(at, at + length)));
    this.#missing = number - 1;
  }

  clear(): void {
    this.#parts = [];
  }

  /** What was collected is forgotten. */
  take(sum: number): string | undefined {
    const whole = this.#parts.length > 0 && this.#missing === 0 && sum === this.#sum;
    const bytes = whole ? Buffer.concat(this.#parts) : Buffer.alloc(0);
    this.clear();
    const name = decodeUtf16Name(bytes.subarray(0, 2 * lengthOf(bytes)));
    return name === "" ? undefined : name;
  }
}

/** Up to the first NUL; a name that fills its last entry has none. At most 255. */
function lengthOf(bytes: Buffer): number {
  const units = Math.min(bytes.length / 2, mostEntries * unitsPerEntry - 5);
  for (let index = 0; index < units; index++) if (bytes.readUInt16LE(2 * index) === 0) return index;
  return units;
}
