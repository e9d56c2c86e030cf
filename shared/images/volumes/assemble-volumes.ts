/**
 * The volume stack of a restore point: partitions, md arrays, LVM2 volumes, in any order on each other.
 *
 * 1. What is wrong in one place never hides what lies elsewhere: it is said in the `note` of the volume that it is about.
 * 2. An array or group is assembled once all its members are found; where no more can be found, with those that there are.
 * 3. Nothing an image says makes this endless: layers, partitions, members, volumes and texts have bounds.
 */
import { hasCode } from "../../core/errors.ts";
import type { BlockDevice } from "../../ports/block-device.ts";
import { sliceDevice } from "../mapped-device.ts";
import type { FoundVolume } from "./found-volume.ts";
import { volumeOf } from "./found-volume.ts";
import { inspectDevice } from "./inspect-device.ts";
import type { PartitionTable } from "./partition-table.ts";
import type { Volume, VolumeContent } from "./volume.ts";

export interface NamedDisk {
  readonly name: string;
  readonly device: BlockDevice;
  /** Logical sectors, in bytes; 512 where left out. MBR tables count in them and do not say how long they are. */
  readonly sectorBytes?: number;
}

/** A disk below a partition below an array below a partition below a logical volume: more than real systems have. */
const maxDepth = 8;
/** Of all kinds together: 64 data disks (the most of an Azure VM) with 64 volumes each. */
const maxVolumes = 4096;

/**
 * All volumes, the disks first, each followed in time by what is found on it. Throws only what stops all reading: the signal's reason,
 * and errors of the vault's store. Damaged bytes, of the vault too, become notes.
 */
export async function assembleVolumes(disks: readonly NamedDisk[], signal: AbortSignal): Promise<readonly Volume[]> {
  const assembly = new Assembly(signal);
  for (const { name, device, sectorBytes = 512 } of disks) {
    const { sizeBytes } = device;
    assembly.add({ name, kind: "disk", sizeBytes, disks: [name], device, sectorBytes, depth: 0, note: undefined });
  }
  await assembly.run();
  return assembly.found.map(volumeOf);
}

type NewVolume = Omit<FoundVolume, "content" | "notes" | "fixedContent"> & {
  readonly note: string | undefined;
  readonly fixedContent?: VolumeContent;
};

class Assembly {
  readonly found: FoundVolume[] = [];
  readonly #signal: AbortSignal;
  readonly #names = new Set<string>();
  readonly #waiting: FoundVolume[] = [];
  #isFull = false;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  async run(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await this.#inspect(next);
  }

  /** Gives it a name of its own and puts it in line to be looked at. */
  add(volume: NewVolume): FoundVolume | undefined {
    if (this.found.length >= maxVolumes) {
      if (!this.#isFull) this.found[0]?.notes.push(`more than ${maxVolumes} volumes: the rest are not listed`);
      this.#isFull = true;
      return undefined;
    }
    const { note, fixedContent, name, ...rest } = volume;
    const added: FoundVolume = {
      ...rest,
      name: this.#ownName(name),
      fixedContent,
      content: fixedContent ?? { kind: "unknown" },
      notes: note === undefined ? [] : [note],
    };
    this.found.push(added);
    if (added.device !== undefined && fixedContent === undefined) this.#waiting.push(added);
    return added;
  }

  #ownName(wanted: string): string {
    let name = wanted;
    for (let count = 2; this.#names.has(name); count++) name = `${wanted}~${count}`;
    this.#names.add(name);
    return name;
  }

  async #inspect(volume: FoundVolume): Promise<void> {
    const { device } = volume;
    if (device === undefined) return;
    if (volume.depth >= maxDepth) {
      volume.notes.push(`lies on ${volume.depth} layers: what it holds was not looked at`);
      return;
    }
    try {
      const seen = await inspectDevice(device, volume.sectorBytes, this.#signal);
      volume.content = seen.content;
      volume.notes.push(...seen.notes);
      if (seen.table !== undefined) this.#addPartitions(volume, device, seen.table);
    } catch (error) {
      // What the store does not answer stops the listing; what is damaged is told, and the rest is listed.
      if (!hasCode(error, "image-corrupt", "not-supported", "vault-corrupt")) throw error;
      volume.notes.push(error.message);
    }
  }

  #addPartitions(parent: FoundVolume, device: BlockDevice, table: PartitionTable): void {
    for (const { slot, offset, length, note, foreign, isExtended } of table.partitions) {
      const name = `${parent.name}/p${slot}`;
      const fixedContent: VolumeContent | undefined =
        isExtended === true
          ? { kind: "partition-table", type: "mbr" }
          : foreign === undefined
            ? undefined
            : { kind: "foreign", ...foreign };
      this.add({
        name,
        kind: "partition",
        sizeBytes: length,
        disks: parent.disks,
        device: sliceDevice(name, device, offset, length),
        sectorBytes: table.sectorBytes,
        depth: parent.depth + 1,
        note: foreign === undefined ? note : `${note}: ${foreign.note}`,
        ...(fixedContent === undefined ? {} : { fixedContent }),
      });
    }
  }
}
