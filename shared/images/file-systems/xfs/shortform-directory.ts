/** A directory within its inode (struct xfs_dir2_sf_hdr): its parent, then the entries, with inode numbers of 4 or 8 bytes. */
import type { ByteView } from "../../byte-view.ts";
import type { RawEntry } from "./directory-entry.ts";

/** The entries without `.` and `..`, which are not stored. */
export function* shortformEntries(view: ByteView, fileTypes: boolean): Generator<RawEntry> {
  const wide = view.u8(1) > 0;
  const count = wide ? view.u8(1) : view.u8(0);
  let at = 2 + (wide ? 8 : 4);
  for (let index = 0; index < count; index++) {
    const length = view.u8(at);
    // Two bytes of a tag follow the length.
    const name = view.slice(at + 3, length);
    at += 3 + length;
    const type = fileTypes ? view.u8(at) : 0;
    if (fileTypes) at += 1;
    yield { name, inode: wide ? view.u64be(at) : view.u32be(at), type };
    at += wide ? 8 : 4;
  }
}
