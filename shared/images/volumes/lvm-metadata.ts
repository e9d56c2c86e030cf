/** A volume group as its metadata tells it (lib/format_text/import_vsn1.c). One volume that makes no sense does not spoil the others. */
import { hasCode } from "../../core/errors.ts";
import { imageCorrupt } from "../image-errors.ts";
import type { LvmSection, LvmValue } from "./lvm-text.ts";
import { parseLvmText } from "./lvm-text.ts";
import { nameSegment, printable } from "./printable.ts";

const sector = 512;
/** Of one group: LVM itself slows down long before. */
const maxLogicalVolumes = 2048;

export interface LvmGroup {
  readonly id: string;
  readonly name: string;
  /** Counts up with each change of the metadata. */
  readonly seqno: number;
  readonly extentBytes: number;
  /** By the names that segments use. */
  readonly physicalVolumes: ReadonlyMap<string, LvmPhysicalVolume>;
  readonly logicalVolumes: readonly LvmLogicalVolume[];
  readonly problems: readonly string[];
}

export interface LvmPhysicalVolume {
  /** Without dashes. */
  readonly uuid: string;
  /** Where its first extent begins, in bytes. */
  readonly start: number;
  readonly extents: number;
}

export interface LvmLogicalVolume {
  readonly name: string;
  readonly extents: number;
  readonly segments: readonly LvmSegment[];
  /** Why it cannot be read, where that is so. */
  readonly reason: string | undefined;
}

/** In extents of the volume; one follows the other. */
export interface LvmSegment {
  readonly start: number;
  readonly count: number;
  /** Empty: the segment reads as zeros. */
  readonly stripes: readonly { readonly volume: string; readonly extent: number }[];
  readonly stripeBytes: number;
}

/** Throws `image-corrupt`. */
export function parseLvmGroup(where: string, text: string): LvmGroup {
  const root = parseLvmText(where, text);
  const [entry, ...more] = [...root.sections].filter(([, section]) => section.values.has("seqno"));
  if (entry === undefined || more.length > 0) throw imageCorrupt(where, "it does not tell of one volume group");
  const [name, group] = entry;
  const read = new Reader(where, group);
  const volumes = [...section(group, "logical_volumes").sections];
  const snapshots = snapshotRoles(volumes);
  const visible = volumes.filter(([, volume]) => flags(volume, "status").includes("VISIBLE"));
  const more2 = visible.length - maxLogicalVolumes;
  return {
    id: read.text("id").replaceAll("-", ""),
    name: nameSegment(name),
    seqno: read.count("seqno"),
    extentBytes: read.positive("extent_size") * sector,
    physicalVolumes: new Map(
      [...section(group, "physical_volumes").sections].map(([key, volume]) => [key, physicalVolume(where, volume)]),
    ),
    logicalVolumes: visible
      .slice(0, maxLogicalVolumes)
      .map(([key, volume]) => logicalVolume(`${where}, volume ${printable(key)}`, key, volume, snapshots.get(key))),
    problems: more2 > 0 ? [`${more2} logical volumes beyond the first ${maxLogicalVolumes} are left out`] : [],
  };
}

const none: LvmSection = { values: new Map(), sections: new Map() };

function section(parent: LvmSection, name: string): LvmSection {
  return parent.sections.get(name) ?? none;
}

function flags(parent: LvmSection, name: string): readonly LvmValue[] {
  const value = parent.values.get(name);
  return Array.isArray(value) ? value : [];
}

function physicalVolume(where: string, volume: LvmSection): LvmPhysicalVolume {
  const read = new Reader(where, volume);
  return {
    uuid: read.text("id").replaceAll("-", ""),
    start: read.count("pe_start") * sector,
    extents: read.count("pe_count"),
  };
}

/** Volumes that are the store of a snapshot, or are being merged with one: what they hold is not what they show. */
function snapshotRoles(volumes: readonly (readonly [string, LvmSection])[]): ReadonlyMap<string, string> {
  const roles = new Map<string, string>();
  for (const [, volume] of volumes) {
    for (const [, { values }] of volume.sections) {
      if (values.get("type") !== "snapshot") continue;
      const origin = printable(String(values.get("origin")));
      const [store, merging] = [values.get("cow_store"), values.get("merging_store")];
      const why = `snapshot of ${origin}, which cannot be read yet`;
      if (typeof store === "string") roles.set(store, why);
      if (typeof merging !== "string") continue;
      roles.set(merging, why);
      roles.set(String(values.get("origin")), "a snapshot was being merged into it, which cannot be read yet");
    }
  }
  return roles;
}

function logicalVolume(where: string, key: string, volume: LvmSection, role: string | undefined): LvmLogicalVolume {
  const name = nameSegment(key);
  try {
    const sections = [...volume.sections].filter(([part]) => /^segment\d+$/.test(part));
    const parts = sections.map(([, part]) => ({ part, read: new Reader(where, part) }));
    const placed = parts
      .map(({ part, read }) => ({ part, start: read.count("start_extent"), count: read.positive("extent_count") }))
      .toSorted((one, other) => one.start - other.start);
    const extents = placed.reduce((sum, { count }) => sum + count, 0);
    const kinds = placed.map(({ part, start, count }) => segment(where, part, start, count));
    const unread = kinds.find((one) => typeof one === "string");
    const segments = kinds.filter((one) => typeof one !== "string");
    let next = 0;
    for (const { start, count } of placed) {
      if (start !== next) throw imageCorrupt(where, `its segments leave a gap, or overlap, at extent ${next}`);
      next += count;
    }
    return { name, extents, segments, reason: role ?? unread };
  } catch (error) {
    if (!hasCode(error, "image-corrupt")) throw error;
    return { name, extents: 0, segments: [], reason: error.message };
  }
}

/** The segment, or why it cannot be read. */
function segment(where: string, part: LvmSection, start: number, count: number): LvmSegment | string {
  const read = new Reader(where, part);
  const type = read.text("type");
  // A type may carry settings behind a plus sign.
  if (type === "zero") return { start, count, stripes: [], stripeBytes: 0 };
  if (type !== "striped") return `segments of type ${printable(type, 32)} cannot be read yet`;
  const stripeCount = read.positive("stripe_count");
  const list = part.values.get("stripes");
  const stripes: { volume: string; extent: number }[] = [];
  for (let at = 0; Array.isArray(list) && at + 1 < list.length; at += 2) {
    const [volume, extent] = [list[at], list[at + 1]];
    if (typeof volume === "string" && typeof extent === "number") stripes.push({ volume, extent });
  }
  if (stripes.length !== stripeCount || count % stripeCount !== 0) {
    throw imageCorrupt(
      where,
      `${count} extents do not fall into ${stripeCount} stripes, of which ${stripes.length} are listed`,
    );
  }
  if (stripes.some(({ extent }) => !Number.isSafeInteger(extent) || extent < 0)) {
    throw imageCorrupt(where, "a stripe begins at no extent");
  }
  return { start, count, stripes, stripeBytes: stripeCount === 1 ? 0 : read.positive("stripe_size") * sector };
}

/** Values of a section that must be there. */
class Reader {
  readonly #where: string;
  readonly #section: LvmSection;

  constructor(where: string, section: LvmSection) {
    this.#where = where;
    this.#section = section;
  }

  text(name: string): string {
    const value = this.#section.values.get(name);
    if (typeof value === "string") return value;
    throw imageCorrupt(this.#where, `it has no text "${name}"`);
  }

  /** From 0; small enough that extents and sectors of it stay exact numbers of bytes. */
  count(name: string): number {
    const value = this.#section.values.get(name);
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 2 ** 43) return value;
    throw imageCorrupt(this.#where, `it has no number "${name}"`);
  }

  positive(name: string): number {
    const value = this.count(name);
    if (value > 0) return value;
    throw imageCorrupt(this.#where, `its number "${name}" is 0`);
  }
}
