/** Opens a file system: superblock, then the journal over it, then what that says about its state. */
import type { BlockDevice } from "../../../ports/block-device.ts";
import type { FileSystemState } from "../../../ports/file-system.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { overlaidVolume, plainVolume } from "./ext-volume.ts";
import { compatible, incompatible } from "./features.ts";
import { replayJournal } from "./journal/replay-journal.ts";
import type { ExtSuperblock } from "./superblock.ts";
import { has, parseSuperblock, superblockBytes, superblockOffset } from "./superblock.ts";

export interface OpenedVolume {
  readonly volume: ExtVolume;
  readonly state: FileSystemState;
}

/** `replay: false` is for tests only: it shows what is missing without. */
export async function openVolume(
  device: BlockDevice,
  options: { readonly replay: boolean },
  signal: AbortSignal,
): Promise<OpenedVolume> {
  if (device.sizeBytes < superblockOffset + superblockBytes) {
    throw imageCorrupt("ext superblock", `a device of ${device.sizeBytes} bytes has no place for it`);
  }
  const bytes = await device.read(superblockOffset, superblockBytes, signal);
  const superblock = parseSuperblock(bytes, device.sizeBytes);
  const volume = plainVolume(superblock, device);
  if (!has(superblock.features, "incompatible", incompatible.recover)) {
    return { volume, state: withErrors(superblock, restState(superblock)) };
  }
  if (!options.replay) return { volume, state: { kind: "dirty", note: "Its journal was not replayed." } };
  const replay = await replayJournal(volume, signal);
  if (replay.kind === "impossible") {
    return { volume, state: withErrors(superblock, { kind: "dirty", note: replay.reason }) };
  }

  const { superblock: replayed, overlay, note, missing } = replay;
  const state: FileSystemState =
    missing === undefined ? { kind: "replayed", note } : { kind: "dirty", note: `${note} ${missing}` };
  // The mark is written past the journal, which may hold an older superblock: one of the two says it (ext4_load_journal).
  const marked = { hasErrors: superblock.hasErrors || replayed.hasErrors };
  return { volume: overlaidVolume(replayed, overlay), state: withErrors(marked, state) };
}

/** Without the mark that the journal is needed. */
function restState(superblock: ExtSuperblock): FileSystemState {
  if (superblock.valid) return { kind: "clean" };
  const why = has(superblock.features, "compatible", compatible.hasJournal)
    ? "It was not unmounted, and its journal is not marked as needed."
    : "It was in use, and has no journal: what was being written may be torn.";
  return { kind: "dirty", note: why };
}

function withErrors({ hasErrors }: Pick<ExtSuperblock, "hasErrors">, state: FileSystemState): FileSystemState {
  if (!hasErrors) return state;
  const error = "The kernel had met damage in it: check it with e2fsck.";
  return { kind: "dirty", note: state.kind === "clean" ? error : `${state.note} ${error}` };
}
