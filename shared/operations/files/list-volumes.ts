import { openFileSystem } from "../../images/file-systems/open-file-system.ts";
import type { Volume, VolumeKind } from "../../images/volumes/volume.ts";
import type { FileSystemFacts } from "../../ports/file-system.ts";
import { isOwnFault } from "./file-problem.ts";

export interface VolumeRow {
  readonly name: string;
  readonly kind: VolumeKind;
  /** As mount(8) calls it; of what is known and not readable here (btrfs, swap, BitLocker) its own name. */
  readonly fileSystem: string | undefined;
  readonly label: string | undefined;
  readonly sizeBytes: number;
  readonly disks: readonly string[];
  /** Was in use and its journal could not be replayed: what is shown may be old or torn. Undefined where that cannot be told. */
  readonly dirty: boolean | undefined;
  /** Why it cannot be read, what was replayed, what it is part of. */
  readonly note: string | undefined;
}

/** Each volume in turn, its file system opened to ask for label and state. One that cannot be opened is listed with the reason. */
export async function* listVolumes(
  volumes: readonly Volume[],
  signal: AbortSignal,
): AsyncGenerator<VolumeRow, void, undefined> {
  for (const volume of volumes) {
    const { name, kind, sizeBytes, disks } = volume;
    yield { name, kind, sizeBytes, disks, ...(await look(volume, signal)) };
  }
}

type Looked = Pick<VolumeRow, "fileSystem" | "label" | "dirty" | "note">;

async function look({ device, content, note }: Volume, signal: AbortSignal): Promise<Looked> {
  const unknown = { fileSystem: undefined, label: undefined, dirty: undefined, note };
  switch (content.kind) {
    case "file-system": {
      const { type } = content;
      if (device === undefined) return { ...unknown, fileSystem: type };
      try {
        const { facts } = await openFileSystem(type, device, signal);
        return { ...stateOf(facts, note), fileSystem: facts.type, label: facts.label };
      } catch (error) {
        if (!isOwnFault(error)) throw error;
        return { ...unknown, fileSystem: type, note: notes(note, error.message) };
      }
    }
    case "foreign":
      return { ...unknown, fileSystem: content.type, note: note ?? content.note };
    case "member":
      return { ...unknown, note: notes(note, `part of ${content.of}`) };
    case "partition-table":
      return { ...unknown, note: notes(note, `${content.type === "gpt" ? "GPT" : "MBR"} partition table`) };
    case "empty":
      return { ...unknown, note: notes(note, "zeros") };
    case "unknown":
      return { ...unknown, note: notes(note, "nothing that is known here") };
    default:
      return content satisfies never;
  }
}

function stateOf({ state }: FileSystemFacts, note: string | undefined): Pick<VolumeRow, "dirty" | "note"> {
  if (state.kind === "clean") return { dirty: false, note };
  return { dirty: state.kind === "dirty", note: notes(note, `${state.kind}: ${state.note}`) };
}

function notes(...all: readonly (string | undefined)[]): string | undefined {
  const given = all.filter((one): one is string => one !== undefined && one !== "");
  return given.length === 0 ? undefined : given.join("; ");
}
