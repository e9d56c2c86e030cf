/**
 * Volume groups put together from their physical volumes.
 *
 * 1. Of all texts that tell of a group, the one with the highest seqno counts (as LVM does it): a volume that was away kept an old one.
 * 2. A volume's extents are read only from the physical volumes that they name, found by uuid. One that is missing, or there twice,
 *    stops the volumes that lie on it and no others.
 * 3. Copies of a disk (an attached clone) carry the same group. A group of one physical volume is then shown once for each copy, from
 *    its own text; of more, nobody could tell which belong together.
 */
import type { BlockDevice } from "../../ports/block-device.ts";
import type { MappedPiece } from "../mapped-device.ts";
import { mappedDevice } from "../mapped-device.ts";
import type { LvmGroup, LvmLogicalVolume, LvmPhysicalVolume, LvmSegment } from "./lvm-metadata.ts";

export interface LvmMember {
  /** Of the volume that it is. */
  readonly name: string;
  readonly device: BlockDevice;
  readonly uuid: string;
  /** What its own metadata areas tell. */
  readonly groups: readonly LvmGroup[];
}

/** A group with the members that are its physical volumes. */
export interface LvmInstance {
  readonly group: LvmGroup;
  readonly members: readonly LvmMember[];
  readonly isComplete: boolean;
}

export interface LvmVolume {
  readonly name: string;
  readonly sizeBytes: number;
  readonly device: BlockDevice | undefined;
  readonly note: string;
  /** The members that it lies on; all of the group where that is not known. */
  readonly members: readonly LvmMember[];
}

/** Of what a hostile text lists, which has room for hundreds of thousands. */
const missingNamed = 16;

/** The groups that the members tell of. */
export function lvmInstances(members: readonly LvmMember[]): readonly LvmInstance[] {
  const newest = new Map<string, LvmGroup>();
  for (const group of members.flatMap((member) => member.groups)) {
    const other = newest.get(group.id);
    if (other === undefined || group.seqno > other.seqno) newest.set(group.id, group);
  }
  return [...newest.values()].flatMap((group) => instancesOf(group, members));
}

function instancesOf(group: LvmGroup, members: readonly LvmMember[]): readonly LvmInstance[] {
  const uuids = [...group.physicalVolumes.values()].map((volume) => volume.uuid);
  const own = members.filter((member) => uuids.includes(member.uuid));
  if (uuids.length === 1 && own.length > 1) {
    return own.map((member) => {
      const told = member.groups.filter((one) => one.id === group.id).toSorted((one, other) => other.seqno - one.seqno);
      return { group: told[0] ?? group, members: [member], isComplete: true };
    });
  }
  return [{ group, members: own, isComplete: uuids.every((uuid) => own.some((member) => member.uuid === uuid)) }];
}

/** The volumes that a user of the system sees, those too that cannot be read. */
export function lvmVolumes({ group, members }: LvmInstance): readonly LvmVolume[] {
  return group.logicalVolumes.map((volume) => lvmVolume(group, volume, members));
}

/** Said of every volume of the group. */
export function lvmGroupNotes({ group, members }: LvmInstance): readonly string[] {
  const all = [...group.physicalVolumes.values()];
  const missing = all.filter(({ uuid }) => !members.some((member) => member.uuid === uuid));
  const named = missing.slice(0, missingNamed).map(({ uuid }) => `physical volume ${dashed(uuid)} is missing`);
  const more = missing.length - named.length;
  return [...named, ...(more > 0 ? [`${more} more physical volumes are missing`] : []), ...group.problems];
}

function lvmVolume(group: LvmGroup, volume: LvmLogicalVolume, members: readonly LvmMember[]): LvmVolume {
  const name = `lvm/${group.name}/${volume.name}`;
  const sizeBytes = volume.extents * group.extentBytes;
  const reason = volume.reason ?? (Number.isSafeInteger(sizeBytes) ? undefined : "its size cannot be");
  if (reason !== undefined) return { name, sizeBytes: 0, device: undefined, note: reason, members };
  const laid: LaidSegment[] = [];
  for (const segment of volume.segments) {
    const result = lay(group, segment, members);
    if (typeof result === "string") return { name, sizeBytes, device: undefined, note: result, members };
    laid.push(result);
  }
  const used = new Set(laid.flatMap(({ stripes }) => stripes.map((stripe) => stripe.device)));
  return {
    name,
    sizeBytes,
    device: volumeDevice(name, sizeBytes, laid),
    note: describe(volume),
    members: members.filter((member) => used.has(member.device)),
  };
}

function describe({ segments }: LvmLogicalVolume): string {
  const widths = [...new Set(segments.map(({ stripes }) => stripes.length))];
  const [width] = widths;
  const stripeKib = (segments[0]?.stripeBytes ?? 0) / 1024;
  if (widths.length !== 1 || width === undefined) return `${segments.length} segments, linear and striped`;
  if (width === 0) return "zeros";
  const shape = width === 1 ? "linear" : `striped over ${width}, ${stripeKib} KiB`;
  return segments.length === 1 ? shape : `${shape}, ${segments.length} segments`;
}

/** A segment in bytes. */
interface LaidSegment {
  readonly start: number;
  readonly length: number;
  readonly stripeBytes: number;
  readonly stripes: readonly { readonly device: BlockDevice; readonly offset: number }[];
}

function lay(group: LvmGroup, segment: LvmSegment, members: readonly LvmMember[]): LaidSegment | string {
  const { extentBytes } = group;
  const length = segment.count * extentBytes;
  // Only a stripe size that divides the extents keeps a stripe within the extents that it names.
  if (segment.stripes.length > 1 && extentBytes % segment.stripeBytes !== 0)
    return "its stripes do not fit its extents";
  const stripes: { device: BlockDevice; offset: number }[] = [];
  for (const { volume, extent } of segment.stripes) {
    const physical = group.physicalVolumes.get(volume);
    if (physical === undefined) return "a segment lies on another logical volume, which cannot be read yet";
    const device = deviceOf(physical, members);
    if (typeof device === "string") return device;
    const offset = physical.start + extent * extentBytes;
    const end = offset + length / segment.stripes.length;
    if (extent + segment.count / segment.stripes.length > physical.extents || end > device.sizeBytes) {
      return `a segment reaches beyond the end of physical volume ${dashed(physical.uuid)}`;
    }
    stripes.push({ device, offset });
  }
  return { start: segment.start * extentBytes, length, stripeBytes: segment.stripeBytes, stripes };
}

function deviceOf({ uuid }: LvmPhysicalVolume, members: readonly LvmMember[]): BlockDevice | string {
  const [member, ...more] = members.filter((one) => one.uuid === uuid);
  if (member === undefined) return `physical volume ${dashed(uuid)} is missing`;
  if (more.length === 0) return member.device;
  const names = [member, ...more].map((one) => one.name).join(" and ");
  return `${names} are both physical volume ${dashed(uuid)}: which one belongs to the others cannot be known`;
}

function volumeDevice(where: string, sizeBytes: number, segments: readonly LaidSegment[]): BlockDevice {
  return mappedDevice(where, sizeBytes, function* (offset, length): Generator<MappedPiece> {
    const end = offset + length;
    let at = offset;
    for (let number = segmentAt(segments, offset); at < end && number < segments.length; number++) {
      const segment = segments[number];
      if (segment === undefined) return;
      const until = Math.min(end, segment.start + segment.length);
      yield* segmentPieces(segment, at - segment.start, until - at);
      at = until;
    }
  });
}

/** The range lies within the segment and counts from its start. */
function* segmentPieces({ stripes, stripeBytes }: LaidSegment, offset: number, length: number): Generator<MappedPiece> {
  if (length <= 0) return;
  const [first] = stripes;
  if (stripes.length <= 1) {
    yield { device: first?.device, offset: (first?.offset ?? 0) + offset, length };
    return;
  }
  for (let at = offset; at < offset + length;) {
    const turn = Math.floor(at / stripeBytes);
    const within = at % stripeBytes;
    const stripe = stripes[turn % stripes.length];
    const count = Math.min(stripeBytes - within, offset + length - at);
    const onStripe = Math.floor(turn / stripes.length) * stripeBytes + within;
    yield { device: stripe?.device, offset: (stripe?.offset ?? 0) + onStripe, length: count };
    at += count;
  }
}

/** The number of the segment in which a byte lies, by halving. */
function segmentAt(segments: readonly LaidSegment[], byte: number): number {
  let low = 0;
  let high = segments.length;
  while (low + 1 < high) {
    const middle = (low + high) >>> 1;
    if ((segments[middle]?.start ?? 0) <= byte) low = middle;
    else high = middle;
  }
  return low;
}

/** As LVM prints a uuid: 6-4-4-4-4-4-6. */
export function dashed(uuid: string): string {
  return [0, 6, 10, 14, 18, 22, 26].map((from, at, all) => uuid.slice(from, all[at + 1])).join("-");
}
