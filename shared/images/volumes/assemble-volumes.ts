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
import type { LvmInstance, LvmMember } from "./lvm-group.ts";
import { dashed, lvmGroupNotes, lvmInstances, lvmVolumes } from "./lvm-group.ts";
import type { PhysicalVolume } from "./lvm-label.ts";
import type { LvmGroup } from "./lvm-metadata.ts";
import { parseLvmGroup } from "./lvm-metadata.ts";
import type { MdArray, MdMember } from "./md-array.ts";
import { assembleMdArray, isMdComplete, mdArrayName } from "./md-array.ts";
import type { MdSuperblock } from "./md-superblock.ts";
import type { PartitionTable } from "./partition-table.ts";
import type { Volume, VolumeContent, VolumeKind } from "./volume.ts";

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
 * All volumes: each disk with its partitions below it, then the arrays, then the logical volumes. Throws only what stops all reading: the signal's reason,
 * and errors of the vault's store. Damaged bytes, of the vault too, become notes.
 */
export async function assembleVolumes(disks: readonly NamedDisk[], signal: AbortSignal): Promise<readonly Volume[]> {
  const assembly = new Assembly(signal);
  for (const { name, device, sectorBytes = 512 } of disks) {
    const { sizeBytes } = device;
    assembly.add({ name, kind: "disk", sizeBytes, disks: [name], device, sectorBytes, depth: 0, parent: undefined });
  }
  await assembly.run();
  return assembly.inOrder().map(volumeOf);
}

type NewVolume = Omit<FoundVolume, "content" | "notes" | "fixedContent"> & {
  readonly notes?: readonly string[];
  readonly fixedContent?: VolumeContent;
};

interface MdFound extends MdMember {
  readonly volume: FoundVolume;
}
interface LvmFound extends LvmMember {
  readonly volume: FoundVolume;
}

class Assembly {
  readonly #found: FoundVolume[] = [];
  readonly #signal: AbortSignal;
  readonly #names = new Set<string>();
  readonly #waiting: FoundVolume[] = [];
  /** By the arrays' uuids, as long as they are not assembled. */
  readonly #arrays = new Map<string, MdFound[]>();
  #physical: LvmFound[] = [];
  readonly #groupsDone = new Set<string>();
  #isFull = false;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  async run(): Promise<void> {
    for (;;) {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
        await this.#inspect(next);
      const isMore =
        this.#assembleArrays(isMdComplete) ||
        this.#assembleGroups((instance) => instance.isComplete) ||
        this.#assembleArrays(() => true) ||
        this.#assembleGroups(() => true);
      if (!isMore) break;
    }
    for (const { volume, uuid } of this.#physical) {
      volume.content = { kind: "foreign", type: "LVM2_member", note: "physical volume of LVM2" };
      volume.notes.push(`physical volume ${dashed(uuid)} of LVM2: no volume group tells of it`);
    }
  }

  /** Partitions follow what they are on. */
  inOrder(): readonly FoundVolume[] {
    const below = new Map<FoundVolume | undefined, FoundVolume[]>();
    for (const volume of this.#found) below.set(volume.parent, [...(below.get(volume.parent) ?? []), volume]);
    const withParts = (volume: FoundVolume): FoundVolume[] => [volume, ...(below.get(volume) ?? []).flatMap(withParts)];
    const whole = below.get(undefined) ?? [];
    const kinds: readonly VolumeKind[] = ["disk", "array", "logical-volume"];
    return kinds.flatMap((kind) => whole.filter((volume) => volume.kind === kind).flatMap(withParts));
  }

  /** Gives it a name of its own and puts it in line to be looked at. */
  add(volume: NewVolume): FoundVolume | undefined {
    if (this.#found.length >= maxVolumes) {
      if (!this.#isFull) this.#found[0]?.notes.push(`more than ${maxVolumes} volumes: the rest are not listed`);
      this.#isFull = true;
      return undefined;
    }
    const { notes = [], fixedContent, name, ...rest } = volume;
    const added: FoundVolume = {
      ...rest,
      name: this.#ownName(name),
      fixedContent,
      content: fixedContent ?? { kind: "unknown" },
      notes: [...notes],
    };
    this.#found.push(added);
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
      if (seen.array !== undefined) this.#addMdMember(volume, device, seen.array);
      if (seen.physicalVolume !== undefined) this.#addPhysicalVolume(volume, device, seen.physicalVolume);
    } catch (error) {
      volume.notes.push(damageMessage(error));
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
        parent,
        notes: foreign === undefined ? [note] : [note, foreign.note],
        ...(fixedContent === undefined ? {} : { fixedContent }),
      });
    }
  }

  #addMdMember(volume: FoundVolume, device: BlockDevice, superblock: MdSuperblock): void {
    const members = this.#arrays.get(superblock.uuid) ?? [];
    this.#arrays.set(superblock.uuid, [...members, { name: volume.name, device, superblock, volume }]);
  }

  #addPhysicalVolume(volume: FoundVolume, device: BlockDevice, { uuid, texts }: PhysicalVolume): void {
    const groups: LvmGroup[] = [];
    for (const text of texts) {
      try {
        groups.push(parseLvmGroup("LVM2 metadata", text));
      } catch (error) {
        volume.notes.push(damageMessage(error));
      }
    }
    this.#physical.push({ name: volume.name, device, uuid, groups, volume });
  }

  /** Those whose members are enough; whether there were any. */
  #assembleArrays(isEnough: (members: readonly MdMember[]) => boolean): boolean {
    let isAny = false;
    for (const [uuid, members] of this.#arrays) {
      if (!isEnough(members)) continue;
      isAny = true;
      this.#arrays.delete(uuid);
      this.#assembleArray(members);
    }
    return isAny;
  }

  #assembleArray(members: readonly MdFound[]): void {
    const name = mdArrayName(members);
    let array: MdArray;
    try {
      array = assembleMdArray(`array ${name}`, members);
    } catch (error) {
      array = { sizeBytes: 0, device: undefined, notes: [damageMessage(error)] };
    }
    const volumes = members.map((member) => member.volume);
    const added = this.add({ ...array, name, kind: "array", ...above(volumes) });
    for (const volume of volumes) volume.content = { kind: "member", of: added?.name ?? name };
  }

  #assembleGroups(isEnough: (instance: LvmInstance) => boolean): boolean {
    const instances = lvmInstances(this.#physical).filter(
      (instance) => isEnough(instance) && instance.members.length > 0 && !this.#groupsDone.has(instance.group.id),
    );
    for (const instance of instances) this.#assembleGroup(instance);
    for (const { group } of instances) this.#groupsDone.add(group.id);
    return instances.length > 0;
  }

  #assembleGroup(instance: LvmInstance): void {
    const members = this.#physical.filter((member) => instance.members.includes(member));
    const below = members.map((member) => member.volume);
    this.#physical = this.#physical.filter((member) => !members.includes(member));
    const notes = lvmGroupNotes(instance);
    for (const volume of below) {
      volume.content = { kind: "member", of: `lvm/${instance.group.name}` };
      volume.notes.push(...notes);
    }
    for (const { note, members: used, ...volume } of lvmVolumes(instance)) {
      const on = members.filter((member) => used.includes(member)).map((member) => member.volume);
      this.add({ ...volume, kind: "logical-volume", notes: [note], ...above(on.length > 0 ? on : below) });
    }
  }
}

/** What a volume has of those that it is laid over. */
function above(below: readonly FoundVolume[]): Pick<FoundVolume, "disks" | "sectorBytes" | "depth" | "parent"> {
  return {
    disks: [...new Set(below.flatMap((volume) => volume.disks))],
    sectorBytes: Math.max(...below.map((volume) => volume.sectorBytes)),
    depth: Math.max(...below.map((volume) => volume.depth)) + 1,
    parent: undefined,
  };
}

/** What is damaged is told, and the rest is listed. What the store does not answer stops the listing: throws it again. */
function damageMessage(error: unknown): string {
  if (!hasCode(error, "image-corrupt", "not-supported", "vault-corrupt")) throw error;
  return error.message;
}
