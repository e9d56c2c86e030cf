/**
 * Fast commits: the changes after the last full commit, as single operations ("link this inode", "these blocks were added") in an area
 * behind the log (fs/ext4/fast_commit.h). They are found here and not applied.
 */
import { ByteView } from "../../../byte-view.ts";
import type { JournalSuperblock } from "./journal-superblock.ts";
import type { ReadJournalBlock } from "./scan-journal.ts";

/** EXT4_FC_TAG_HEAD: 4 bytes of features, then the transaction that it follows. */
const headTag = 9;

/** Whether there are any on top of the last transaction, of which `sequence` would be the next. */
export async function findFastCommits(
  journal: JournalSuperblock,
  read: ReadJournalBlock,
  sequence: number,
  signal: AbortSignal,
): Promise<boolean> {
  // The block between the log and the area is left out (j_fc_first is j_last + 1).
  if (journal.fastBlocks < 2) return false;
  const first = journal.end + 1;
  const view = new ByteView(await read(first, signal), `ext journal block ${first}`);
  return view.u16le(0) === headTag && view.u16le(2) === 8 && view.u32le(8) === sequence;
}
