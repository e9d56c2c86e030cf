/** What all readers of one file system share: its superblock, its device with the journal over it, and how a block is read. */
import type { BlockDevice } from "../../../ports/block-device.ts";
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { MetadataCache } from "./metadata-cache.ts";
import type { JournalOverlay, OverlaidPiece } from "./journal/journal-overlay.ts";
import type { ExtSuperblock } from "./superblock.ts";

export interface ExtVolume {
  readonly superblock: ExtSuperblock;
  readonly device: BlockDevice;
  readonly metadata: MetadataCache;
  /** Cuts a range of the device into what the device below holds too and what the journal replaces. */
  readonly replacements: (offset: number, length: number) => Iterable<OverlaidPiece>;
}

/** Without a journal over it. */
export function plainVolume(superblock: ExtSuperblock, device: BlockDevice): ExtVolume {
  const replacements = (offset: number, length: number): OverlaidPiece[] => [{ offset, length, replaced: false }];
  return { superblock, device, metadata: new MetadataCache(device), replacements };
}

export function overlaidVolume(superblock: ExtSuperblock, overlay: JournalOverlay): ExtVolume {
  const { device, pieces } = overlay;
  return { superblock, device, metadata: new MetadataCache(device), replacements: pieces };
}

/** One block of metadata. `where` names what it is taken for. Throws `image-corrupt` for a number beyond the file system. */
export async function readBlock(
  volume: ExtVolume,
  number: number,
  where: string,
  signal: AbortSignal,
): Promise<ByteView> {
  refuseBlocks(volume, number, 1, where);
  const { blockBytes } = volume.superblock;
  return new ByteView(await volume.metadata.read(number * blockBytes, blockBytes, signal), where);
}

/** No file has blocks before the first data block: there lies the superblock. */
export function refuseBlocks(volume: ExtVolume, first: number, count: number, where: string): void {
  const { blocks, firstDataBlock } = volume.superblock;
  if (Number.isSafeInteger(first) && first > 0 && first >= firstDataBlock && first + count <= blocks) return;
  throw imageCorrupt(where, `it points to block ${first} (${count} of them) of ${blocks}`);
}
