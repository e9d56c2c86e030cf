/** What test/fixtures/images/make.sh packed: text, bytes that do not compress, a long run, and what LZX takes for calls of machine code. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

export function packedText(): Buffer {
  const lines = Array.from({ length: 1500 }, (_, line) => `line ${line * line} of a text, again and again\n`);
  const noise = Array.from({ length: 640 }, (_, index) => createHash("sha256").update(`0 ${index}`).digest());
  const calls = Array.from({ length: 1000 }, (_, index) => {
    const call = Buffer.from([0xe8, 0, 0, 0, 0, ...Buffer.from("call")]);
    call.writeUInt32LE(index * 3, 1);
    return call;
  });
  return Buffer.concat([Buffer.from(lines.join("")), ...noise, Buffer.alloc(9000, "z"), ...calls]);
}

/** In the order of their numbers in a reparse point. */
export const packedFormats = ["xpress-4096", "lzx-32768", "xpress-8192", "xpress-16384"] as const;

export function packedStream(format: (typeof packedFormats)[number]): Buffer {
  return readFileSync(new URL(`../../fixtures/images/${format}.bin`, import.meta.url));
}
