import { ByteView } from "../../byte-view.ts";
import { bodyEntries } from "./attribute-entries.ts";
import type { ExtInode } from "./inode.ts";

/** What inline_data keeps behind the first 60 bytes of a small file or directory (`system.data`). */
export function inlineRest(inode: ExtInode): ByteView {
  for (const entry of bodyEntries(inode)) {
    if (entry.nameIndex === 7 && entry.name === "data")
      return new ByteView(entry.inline, `${inode.where}, inline data`);
  }
  return new ByteView(new Uint8Array(), `${inode.where}, inline data`);
}
