/** What test/fixtures/images/make.sh packed into `xpress-<chunk size>.bin`: text, bytes that do not compress, and a long run. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

export function packedText(): Buffer {
  const lines = Array.from({ length: 1500 }, (_, line) => `line ${line * line} of a text, again and again\n`);
  const noise = Array.from({ length: 640 }, (_, index) => createHash("sha256").update(`0 ${index}`).digest());
  return Buffer.concat([Buffer.from(lines.join("")), ...noise, Buffer.alloc(9000, "z")]);
}

export function packedStream(chunkBytes: number): Buffer {
  return readFileSync(new URL(`../../fixtures/images/xpress-${chunkBytes}.bin`, import.meta.url));
}
