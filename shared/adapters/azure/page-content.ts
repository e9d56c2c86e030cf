/** What is sent of a stretch of a disk: whole pages of 512 bytes, without the zeros at its ends, which an empty blob has already. */

/** Zeros at the ends are left out in steps of this. */
const zeroStepBytes = 4096;

/** What is left without the zeros at both ends; undefined where there is nothing else. */
export function withoutOuterZeros(
  part: Uint8Array,
): { readonly skipped: number; readonly content: Uint8Array } | undefined {
  let from = 0;
  while (from < part.length && isZero(part.subarray(from, from + zeroStepBytes))) from += zeroStepBytes;
  if (from >= part.length) return undefined;
  let to = part.length;
  for (let step = lastStep(to); isZero(part.subarray(step, to)); step = lastStep(to)) to = step;
  return { skipped: from, content: part.subarray(from, to) };
}

const lastStep = (end: number): number => (Math.ceil(end / zeroStepBytes) - 1) * zeroStepBytes;

function isZero(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).equals(zeros.subarray(0, bytes.length));
}

const zeros = Buffer.alloc(zeroStepBytes);

/** At the end of a disk that is no multiple of 512 the last page is filled up with zeros. */
export function toWholePages(content: Uint8Array): Uint8Array {
  if (content.length % 512 === 0) return content;
  const pages = new Uint8Array(Math.ceil(content.length / 512) * 512);
  pages.set(content);
  return pages;
}
