/**
 * Superblocks of Linux software RAID, versions 0.90, 1.0, 1.1 and 1.2 (include/uapi/linux/raid/md_p.h). What the two families say
 * in their own ways becomes one description. A superblock counts where its checksum fits and it says that it lies where it lies.
 */
import { ByteView } from "../byte-view.ts";
import { nameSegment, uuidText } from "./printable.ts";

/** In bytes: sizes and offsets of md are in sectors of 512, whatever the disk's are. */
const sector = 512;
const magic = 0xa92b4efc;
/** MD_SB_BYTES; a 1.x superblock has 256 bytes and two for each device, within as many. */
const superblockBytes = 4096;
const maxDevices1 = (superblockBytes - 256) / 2;
const maxDevices0 = 27;

/** Bits of `feature_map` (MD_FEATURE_…) that are told apart. */
const feature = { recovery: 2, reshape: 4, badBlocks: 8, replacement: 16, raid0Layout: 4096 } as const;

/** What a superblock says of one device of the array. */
export type MdRole = { readonly kind: "active"; readonly slot: number } | { readonly kind: "spare" | "faulty" };

export interface MdSuperblock {
  readonly version: "0.90" | "1.0" | "1.1" | "1.2";
  readonly uuid: string;
  /** Of the array, as part of a volume's name. */
  readonly name: string | undefined;
  readonly level: number;
  /** Of raid0 over unequal members: 1 original, 2 alternate; undefined where it is not recorded. */
  readonly raid0Layout: number | undefined;
  readonly chunkBytes: number;
  readonly slots: number;
  /** How much of each member a mirror uses. */
  readonly usedBytes: number;
  /** Where the member's data lies, and how much it has. */
  readonly dataOffset: number;
  readonly dataBytes: number;
  readonly events: bigint;
  /** This member's own number in `roles`. */
  readonly deviceNumber: number;
  readonly roles: readonly MdRole[];
  readonly isReshaping: boolean;
  /** The member was being filled, and is not whole. */
  readonly isRecovering: boolean;
  readonly isReplacement: boolean;
  readonly hasBadBlocks: boolean;
  /** The members of a mirror were being made equal. */
  readonly isResyncing: boolean;
}

export interface MdPlace {
  readonly version: MdSuperblock["version"];
  readonly offset: number;
}

export const mdSuperblockBytes = superblockBytes;

/** At the beginning of a member: 1.1 at its start, 1.2 at 4 KiB (super_1_load, drivers/md/md.c). */
export const mdPlacesAtStart: readonly MdPlace[] = [
  { version: "1.1", offset: 0 },
  { version: "1.2", offset: 4096 },
];

/** At the end: 1.0 from 8 KiB before it, on 4 KiB; 0.90 in the last whole 64 KiB. */
export function mdPlacesAtEnd(deviceBytes: number): readonly MdPlace[] {
  const sectors = Math.floor(deviceBytes / sector);
  const version1 = Math.floor((sectors - 16) / 8) * 8 * sector;
  const version0 = (Math.floor(sectors / 128) - 1) * 128 * sector;
  return [
    { version: "1.0" as const, offset: version1 },
    { version: "0.90" as const, offset: version0 },
  ].filter(({ offset }) => offset >= 0 && offset + superblockBytes <= deviceBytes);
}

/** `bytes`: `mdSuperblockBytes` of the device from the place. Undefined where they are none, `problem` where one is broken. */
export function parseMdSuperblock(
  bytes: Uint8Array,
  place: MdPlace,
  deviceBytes: number,
): MdSuperblock | { readonly problem: string } | undefined {
  const view = new ByteView(bytes, `md superblock at byte ${place.offset}`);
  if (view.length < superblockBytes || view.u32le(0) !== magic) return undefined;
  return place.version === "0.90" ? parseVersion0(view, deviceBytes) : parseVersion1(view, place, deviceBytes);
}

function parseVersion1(
  view: ByteView,
  { version, offset }: MdPlace,
  deviceBytes: number,
): MdSuperblock | { readonly problem: string } | undefined {
  const [major, features, devices] = [view.u32le(4), view.u32le(8), view.u32le(220)];
  if (major !== 1 || view.big64le(144) * BigInt(sector) !== BigInt(offset)) return undefined;
  if (devices > maxDevices1) return problem(view, `it lists ${devices} devices`);
  if (checksum(view, 256 + 2 * devices, 216) !== view.u32le(216)) return problem(view, "its checksum does not fit");
  const [dataOffset, dataBytes] = [bytesOf(view, 128), bytesOf(view, 136)];
  const room = (version === "1.0" ? offset : deviceBytes) - dataOffset;
  if (room < dataBytes) return problem(view, `its data of ${dataBytes} bytes reaches beyond the end of the member`);
  const [, name] = /^(?:[^:]*:)?(.*)$/.exec(printableName(view)) ?? [];
  const has = (bit: number): boolean => (features & bit) !== 0;
  return {
    version,
    uuid: uuidText(view.slice(16, 16)),
    name: name === undefined || name === "" ? undefined : nameSegment(name),
    level: view.i32le(72),
    raid0Layout: has(feature.raid0Layout) ? view.u32le(76) : undefined,
    chunkBytes: view.u32le(88) * sector,
    slots: view.u32le(92),
    usedBytes: bytesOf(view, 80),
    dataOffset,
    dataBytes,
    events: view.big64le(200),
    deviceNumber: view.u32le(160),
    roles: Array.from({ length: devices }, (_, at) => role1(view.u16le(256 + 2 * at))),
    isReshaping: has(feature.reshape),
    isRecovering: has(feature.recovery) && !has(feature.replacement),
    isReplacement: has(feature.replacement),
    hasBadBlocks: has(feature.badBlocks),
    isResyncing: view.big64le(208) !== 0xffff_ffff_ffff_ffffn,
  };
}

function printableName(view: ByteView): string {
  const bytes = view.slice(32, 32);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end === -1 ? 32 : end));
}

/** Bytes from a number of sectors; beyond 2^53 it is wrong, and larger than every device. */
function bytesOf(view: ByteView, at: number): number {
  return Number(view.big64le(at)) * sector;
}

/** MD_DISK_ROLE_SPARE is 0xffff, faulty 0xfffe, journal 0xfffd. */
function role1(role: number): MdRole {
  if (role < 0xfffd) return { kind: "active", slot: role };
  return { kind: role === 0xfffe ? "faulty" : "spare" };
}

/** calc_sb_csum and calc_sb_1_csum: the sum of the 32-bit words (and of a last half one) but its own, the carry added. */
function checksum(view: ByteView, length: number, checksumAt: number): number {
  let sum = 0;
  for (let at = 0; at + 4 <= length; at += 4) if (at !== checksumAt) sum += view.u32le(at);
  if (length % 4 === 2) sum += view.u16le(length - 2);
  return ((sum % 2 ** 32) + Math.floor(sum / 2 ** 32)) >>> 0;
}

/** Byte offsets of the words of mdp_superblock_s. */
const word = (number: number): number => 4 * number;
const disksAt = word(128);
const diskBytes = word(32);
/** Bits of a disk's state: MD_DISK_FAULTY, MD_DISK_SYNC. */
const stateFaulty = 1;
const stateSync = 4;

function parseVersion0(view: ByteView, deviceBytes: number): MdSuperblock | { readonly problem: string } | undefined {
  const [major, minor] = [view.u32le(word(1)), view.u32le(word(2))];
  if (major !== 0 || (minor !== 90 && minor !== 91)) return undefined;
  if (checksum(view, superblockBytes, word(38)) !== view.u32le(word(38))) {
    return problem(view, "its checksum does not fit");
  }
  const level = view.i32le(word(7));
  const place = mdPlacesAtEnd(deviceBytes).find(({ version }) => version === "0.90")?.offset ?? 0;
  const usedBytes = view.u32le(word(8)) * 1024;
  const uuid = Buffer.alloc(16);
  for (const [at, number] of [5, 13, 14, 15].entries()) uuid.writeUInt32BE(view.u32le(word(number)), 4 * at);
  return {
    version: "0.90",
    uuid: uuidText(uuid),
    name: undefined,
    level,
    raid0Layout: undefined,
    chunkBytes: view.u32le(word(65)),
    slots: view.u32le(word(10)),
    usedBytes,
    dataOffset: 0,
    dataBytes: place,
    events: view.big64le(word(39)) & 0xffff_ffff_ffff_ffffn,
    deviceNumber: view.u32le(word(992)),
    roles: Array.from({ length: maxDevices0 }, (_, at) => role0(view, disksAt + at * diskBytes)),
    isReshaping: minor === 91,
    isRecovering: false,
    isReplacement: false,
    hasBadBlocks: false,
    isResyncing: (view.u32le(word(33)) & 1) === 0,
  };
}

/** Words of a disk: number, major, minor, raid_disk, state. */
function role0(view: ByteView, at: number): MdRole {
  const state = view.u32le(at + 16);
  if ((state & stateFaulty) !== 0) return { kind: "faulty" };
  return (state & stateSync) !== 0 ? { kind: "active", slot: view.u32le(at + 12) } : { kind: "spare" };
}

function problem(view: ByteView, what: string): { readonly problem: string } {
  return { problem: `${view.where}: ${what}` };
}
