/**
 * The update sequence ("fixups"): the last two bytes of each 512 of a record on disk hold one number, the bytes that belong there lie in
 * an array at the record's start. Where a number differs, the record was not written whole.
 */
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";

const strideBytes = 512;

/** A copy of the record as it was meant: `bytes` stay as they are. Throws `image-corrupt` for another magic and for torn writes. */
export function restoreRecord(bytes: Uint8Array, magic: string, where: string): ByteView {
  const view = new ByteView(Uint8Array.from(bytes), where);
  const found = view.ascii(0, 4);
  if (found === "BAAD") throw imageCorrupt(where, "the file system itself found it torn, and marked it BAAD");
  if (found !== magic) throw imageCorrupt(where, `its magic is not ${magic}`);
  const at = view.u16le(4);
  const count = view.u16le(6);
  if ((count - 1) * strideBytes !== view.length || at + 2 * count > strideBytes - 2) {
    throw imageCorrupt(where, `its update sequence of ${count} numbers at byte ${at} does not fit its size`);
  }
  const expected = view.u16le(at);
  for (let number = 1; number < count; number++) {
    const end = number * strideBytes - 2;
    if (view.u16le(end) !== expected) throw imageCorrupt(where, `sector ${number - 1} of it is from another write`);
    view.bytes.set(view.slice(at + 2 * number, 2), end);
  }
  return view;
}
