/**
 * File names between bytes and text, losslessly. Most are UTF-8 and stand as they are. A name that is not keeps its valid parts, each
 * other byte becomes `\xNN`, and each backslash of it `\\`, so that `encodeFileName` finds the bytes again.
 */
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

export function decodeFileName(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return escapeInvalid(bytes);
  }
}

/** The bytes of a name as `decodeFileName` gave it, for a name that is not UTF-8; else its UTF-8. */
export function encodeFileName(name: string): Uint8Array {
  const plain = encoder.encode(name);
  const bytes = unescape(name);
  // Only what decoding would have escaped was escaped: a name that is valid UTF-8 keeps its backslashes.
  return bytes !== undefined && decodeFileName(bytes) === name ? bytes : plain;
}

function escapeInvalid(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = validLength(bytes, at);
    if (length === 0) {
      text += `\\x${(bytes[at] ?? 0).toString(16).padStart(2, "0")}`;
      at += 1;
      continue;
    }
    const letter = strict.decode(bytes.subarray(at, at + length));
    text += letter === "\\" ? "\\\\" : letter;
    at += length;
  }
  return text;
}

/** Bytes of the UTF-8 letter that begins at `at`; 0 where none does. */
function validLength(bytes: Uint8Array, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    try {
      strict.decode(bytes.subarray(at, at + length));
      return length;
    } catch {
      // Not a whole letter yet, or never one.
    }
  }
  return 0;
}

function unescape(name: string): Uint8Array | undefined {
  if (!name.includes("\\x")) return undefined;
  const parts: Uint8Array[] = [];
  for (const [part] of name.matchAll(/\\x[0-9a-f]{2}|\\\\|[^\\]+/g)) {
    if (part.startsWith("\\x")) parts.push(Uint8Array.of(Number.parseInt(part.slice(2), 16)));
    else parts.push(encoder.encode(part === "\\\\" ? "\\" : part));
  }
  return Buffer.concat(parts);
}
