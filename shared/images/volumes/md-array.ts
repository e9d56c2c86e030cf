/**
 * Arrays of Linux software RAID put together from their members: raid0 (drivers/md/raid0.c), raid1, linear. What else there is is
 * named with the reason.
 *
 * 1. The superblock with the most events speaks for the array. A member is current where its own count is that or one less: the kernel
 *    writes them one after the other (super_1_validate). Others are stale and never read.
 * 2. What role a member has says the freshest superblock, not its own: a member that fell out did not hear of it.
 */
import type { BlockDevice } from "../../ports/block-device.ts";
import { imageCorrupt } from "../image-errors.ts";
import type { MappedPiece } from "../mapped-device.ts";
import { mappedDevice, sliceDevice } from "../mapped-device.ts";
import type { MdSuperblock } from "./md-superblock.ts";
import { raid0Map } from "./raid0-map.ts";

export interface MdMember {
  /** Of the volume that it is. */
  readonly name: string;
  readonly device: BlockDevice;
  readonly superblock: MdSuperblock;
}

export interface MdArray {
  readonly sizeBytes: number;
  readonly device: BlockDevice | undefined;
  readonly notes: readonly string[];
}

interface Seating {
  readonly freshest: MdSuperblock;
  /** The member for each slot that has one. */
  readonly seats: ReadonlyMap<number, MdMember>;
  readonly missing: readonly number[];
  readonly notes: readonly string[];
}

/** Levels as mdadm calls them. */
const levelNames: Readonly<Record<number, string>> = {
  [-4]: "multipath",
  [-1]: "linear",
  0: "raid0",
  1: "raid1",
  4: "raid4",
  5: "raid5",
  6: "raid6",
  10: "raid10",
};

/** Of what hostile superblocks say; the formats have room for 1,920 devices. */
const slotsNamed = 16;

export function mdArrayName(members: readonly MdMember[]): string {
  const freshest = freshestOf(members);
  return `md/${freshest?.name ?? freshest?.uuid.slice(0, 8) ?? "unknown"}`;
}

/** Whether every slot has a current member. */
export function isMdComplete(members: readonly MdMember[]): boolean {
  const seating = seat(members);
  return seating !== undefined && seating.missing.length === 0;
}

/** Throws `image-corrupt` where the superblock contradicts itself. `where` names the array in errors. */
export function assembleMdArray(where: string, members: readonly MdMember[]): MdArray {
  const seating = seat(members);
  if (seating === undefined) throw imageCorrupt(where, "it has no members");
  const { freshest, seats, missing, notes } = seating;
  const level = levelNames[freshest.level] ?? `level ${freshest.level}`;
  const lost =
    missing.length === 0 ? "" : `: ${missing.length} of ${freshest.slots} members missing (${slotList(missing)})`;
  const refuse = (why: string): MdArray => ({
    sizeBytes: 0,
    device: undefined,
    notes: [`${level}${lost}`, ...notes, why],
  });
  if (freshest.isReshaping) return refuse("it was being reshaped, which cannot be read yet");
  switch (freshest.level) {
    case 1: {
      const leg = mirrorLeg(seats);
      if (leg === undefined) return refuse("no member is whole");
      const more = [
        leg.superblock.hasBadBlocks ? "the member that is read has bad blocks listed" : [],
        freshest.isResyncing && seats.size > 1
          ? `its members may differ where it was being written: ${leg.name} is read`
          : [],
      ].flat();
      const device = sliceDevice(where, leg.device, leg.superblock.dataOffset, freshest.usedBytes);
      return { sizeBytes: freshest.usedBytes, device, notes: [`${level}${lost}`, ...notes, ...more] };
    }
    case 0:
    case -1: {
      if (missing.length > 0) return refuse("it cannot be read without all of its members");
      const laid = freshest.level === 0 ? stripes(where, freshest, seats) : chain(where, freshest, seats);
      return typeof laid === "string" ? refuse(laid) : { ...laid, notes: [level, ...notes] };
    }
    default:
      return refuse(`${level} cannot be read yet`);
  }
}

function freshestOf(members: readonly MdMember[]): MdSuperblock | undefined {
  return members
    .map((member) => member.superblock)
    .reduce<MdSuperblock | undefined>(
      (best, one) => (best === undefined || one.events > best.events ? one : best),
      undefined,
    );
}

function seat(members: readonly MdMember[]): Seating | undefined {
  const freshest = freshestOf(members);
  if (freshest === undefined) return undefined;
  const seats = new Map<number, MdMember>();
  const notes: string[] = [];
  for (const member of members) {
    const { superblock, name } = member;
    const slot = slotOf(superblock, freshest);
    if (typeof slot === "string") {
      notes.push(`${name} ${slot}`);
      continue;
    }
    const other = seats.get(slot);
    if (other !== undefined && !isBetter(superblock, other.superblock))
      notes.push(`${name} is a second member ${slot}, not read`);
    else {
      if (other !== undefined) notes.push(`${other.name} is a second member ${slot}, not read`);
      seats.set(slot, member);
    }
  }
  const missing: number[] = [];
  for (let slot = 0; slot < Math.min(freshest.slots, freshest.roles.length); slot++)
    if (!seats.has(slot)) missing.push(slot);
  return { freshest, seats, missing, notes };
}

/** The slot, or why it has none. */
function slotOf(superblock: MdSuperblock, freshest: MdSuperblock): number | string {
  const { level, slots, chunkBytes, version } = superblock;
  if (
    level !== freshest.level ||
    slots !== freshest.slots ||
    chunkBytes !== freshest.chunkBytes ||
    version !== freshest.version
  ) {
    return "contradicts the freshest superblock and is not read";
  }
  if (superblock.events + 1n < freshest.events) {
    return `is stale (${superblock.events} events, the freshest has ${freshest.events}) and is not read`;
  }
  const role = freshest.roles[superblock.deviceNumber];
  if (role === undefined || role.kind !== "active") return `is ${role?.kind ?? "unknown"} in the array and is not read`;
  return role.slot < freshest.slots ? role.slot : `has the slot ${role.slot}, which the array does not have`;
}

/** A replacement takes its place only once the kernel has made it the member. */
function isBetter(one: MdSuperblock, other: MdSuperblock): boolean {
  return (other.isReplacement && !one.isReplacement) || (other.isRecovering && !one.isRecovering);
}

/** The first that is whole; one with bad blocks only where there is no other. */
function mirrorLeg(seats: ReadonlyMap<number, MdMember>): MdMember | undefined {
  const whole = inOrder(seats).filter(({ superblock }) => !superblock.isRecovering && !superblock.isReplacement);
  return whole.find(({ superblock }) => !superblock.hasBadBlocks) ?? whole[0];
}

function inOrder(seats: ReadonlyMap<number, MdMember>): readonly MdMember[] {
  return [...seats].toSorted(([one], [other]) => one - other).map(([, member]) => member);
}

type Laid = Pick<MdArray, "sizeBytes" | "device">;

function stripes(
  where: string,
  { chunkBytes, raid0Layout }: MdSuperblock,
  seats: ReadonlyMap<number, MdMember>,
): Laid | string {
  // raid0_run refuses what is no whole sector too. Each piece of a read is a read of its own.
  if (chunkBytes <= 0 || chunkBytes % 512 !== 0)
    throw imageCorrupt(where, `its chunks cannot have ${chunkBytes} bytes`);
  const members = inOrder(seats).map((member) => dataOf(where, member));
  const sizes = members.map((member) => Math.floor(member.sizeBytes / chunkBytes) * chunkBytes);
  // The kernel refuses it too: versions before 5.4 wrote two layouts and recorded neither.
  if (new Set(sizes).size > 1 && raid0Layout !== 1 && raid0Layout !== 2) {
    return "its members have different sizes and it does not record which of two layouts it has";
  }
  const map = raid0Map(sizes, chunkBytes, raid0Layout === 1 ? "original" : "alternate");
  const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
  const device = mappedDevice(where, sizeBytes, function* (offset, length): Generator<MappedPiece> {
    for (const { member, ...place } of map(offset, length)) yield { device: members[member], ...place };
  });
  return { sizeBytes, device };
}

function chain(where: string, { chunkBytes }: MdSuperblock, seats: ReadonlyMap<number, MdMember>): Laid {
  const members = inOrder(seats).map((member) => dataOf(where, member));
  const parts: { readonly device: BlockDevice; readonly start: number; readonly length: number }[] = [];
  let start = 0;
  for (const device of members) {
    const length = chunkBytes > 0 ? Math.floor(device.sizeBytes / chunkBytes) * chunkBytes : device.sizeBytes;
    parts.push({ device, start, length });
    start += length;
  }
  const device = mappedDevice(where, start, function* (offset, length): Generator<MappedPiece> {
    const end = offset + length;
    for (const part of parts) {
      const from = Math.max(offset, part.start);
      const to = Math.min(end, part.start + part.length);
      if (from < to) yield { device: part.device, offset: from - part.start, length: to - from };
    }
  });
  return { sizeBytes: start, device };
}

function dataOf(where: string, { device, superblock }: MdMember): BlockDevice {
  return sliceDevice(where, device, superblock.dataOffset, superblock.dataBytes);
}

function slotList(slots: readonly number[]): string {
  const named = slots.slice(0, slotsNamed).join(", ");
  return slots.length > slotsNamed ? `${named}, …` : named;
}
