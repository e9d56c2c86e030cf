/** Big-endian fields one after another. */
export type Field =
  | { readonly bits: 16 | 32; readonly value: number }
  | { readonly bits: 64; readonly value: number | bigint }
  | Uint8Array
  | string;

export const u16 = (value: number): Field => ({ bits: 16, value });
export const u32 = (value: number): Field => ({ bits: 32, value });
export const u64 = (value: number | bigint): Field => ({ bits: 64, value });

/** Texts are UTF-8, without a length before them. */
export function encodeFields(...fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  const parts = fields.map((field) => (typeof field === "string" ? new TextEncoder().encode(field) : field));
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + lengthOf(part), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of parts) {
    if (part instanceof Uint8Array) bytes.set(part, at);
    else if (part.bits === 16) view.setUint16(at, part.value);
    else if (part.bits === 32) view.setUint32(at, part.value);
    else view.setBigUint64(at, BigInt(part.value));
    at += lengthOf(part);
  }
  return bytes;
}

function lengthOf(part: Exclude<Field, string>): number {
  return part instanceof Uint8Array ? part.length : part.bits / 8;
}
