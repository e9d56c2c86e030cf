/**
 * File names kept as UTF-16, which NTFS and FAT do not check: a surrogate may stand alone. Such a name is written in UTF-8 as if the
 * lone surrogate were a letter (three bytes, "WTF-8"), as ntfs-3g does, and those bytes are shown as `decodeFileName` shows bytes that
 * are no UTF-8: `\xed\xa0\xbd`. So it can be typed and leads back to its units.
 */
import { decodeFileName, encodeFileName } from "./file-name.ts";

/** `bytes` are UTF-16, little endian; an odd last byte is left out. */
export function decodeUtf16Name(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength & ~1).toString("utf16le");
  return text.isWellFormed() ? text : decodeFileName(Buffer.concat(Array.from(text, letterBytes)));
}

/** The UTF-16 units of a name that `decodeUtf16Name` gave. */
export function utf16Units(name: string): Uint16Array {
  const text = name.includes("\\x") ? looseText(encodeFileName(name)) : name;
  return Uint16Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
}

function letterBytes(letter: string): Uint8Array {
  if (letter.isWellFormed()) return Buffer.from(letter);
  const unit = letter.charCodeAt(0);
  return Uint8Array.of(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f));
}

/** UTF-8 in which lone surrogates may stand, as a string in which they stand alone. */
function looseText(bytes: Uint8Array): string {
  let text = "";
  let start = 0;
  for (let at = 0; at + 2 < bytes.length; at++) {
    const [first, second, third] = [bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0];
    if (first !== 0xed || second < 0xa0) continue;
    text += Buffer.from(bytes.subarray(start, at)).toString();
    text += String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f));
    start = at + 3;
    at += 2;
  }
  return text + Buffer.from(bytes.subarray(start)).toString();
}
