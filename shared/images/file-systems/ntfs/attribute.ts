/** Attributes of file records: everything that NTFS knows of a file, its content too. Layout: fs/ntfs3/ntfs.h, `ATTRIB`. */
import type { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { decodeUtf16Name } from "../../utf16-name.ts";

export const attributeTypes = {
  standardInformation: 0x10,
  attributeList: 0x20,
  fileName: 0x30,
  volumeName: 0x60,
  volumeInformation: 0x70,
  data: 0x80,
  indexRoot: 0x90,
  indexAllocation: 0xa0,
  bitmap: 0xb0,
  reparsePoint: 0xc0,
} as const;

export const attributeFlags = { compressed: 0x0001, encrypted: 0x4000 } as const;

interface AttributeHead {
  readonly type: number;
  /** Empty for the unnamed one. */
  readonly name: string;
  readonly flags: number;
  /** Unique within its record. */
  readonly id: number;
}

export interface ResidentAttribute extends AttributeHead {
  readonly kind: "resident";
  readonly value: ByteView;
}

export interface MappedAttribute extends AttributeHead {
  readonly kind: "mapped";
  /** The first cluster of the attribute that this record maps; 0 but in further records of a long attribute. */
  readonly lowestVcn: number;
  readonly mappingPairs: Uint8Array;
  /** What follows stands only in the record of cluster 0. */
  readonly sizes: MappedSizes | undefined;
}

export interface MappedSizes {
  readonly sizeBytes: number;
  /** Beyond it everything reads as zeros. */
  readonly initializedBytes: number;
  /** Clusters of a compression unit; 0 where the attribute is not compressed. */
  readonly unitClusters: number;
}

export type Attribute = ResidentAttribute | MappedAttribute;

const endMark = 0xffffffff;
/** Windows writes 4: units of 16 clusters. The format has no other. */
const largestUnitLog2 = 6;

/** All of a record, whose attributes lie from `start` to `end`. */
export function parseAttributes(record: ByteView, start: number, end: number): Attribute[] {
  const attributes: Attribute[] = [];
  for (let at = start; at + 4 <= end && record.u32le(at) !== endMark;) {
    const length = record.u32le(at + 4);
    if (length < 24 || length % 8 !== 0 || at + length > end) {
      throw imageCorrupt(record.where, `the attribute at byte ${at} cannot have ${length} bytes`);
    }
    attributes.push(parseAttribute(record.sub(at, length, record.where)));
    at += length;
  }
  return attributes;
}

function parseAttribute(view: ByteView): Attribute {
  const nameUnits = view.u8(9);
  const head = {
    type: view.u32le(0),
    name: nameUnits === 0 ? "" : decodeUtf16Name(view.slice(view.u16le(10), nameUnits * 2)),
    flags: view.u16le(12),
    id: view.u16le(14),
  };
  if (view.u8(8) === 0) {
    return { ...head, kind: "resident", value: view.sub(view.u16le(20), view.u32le(16), view.where) };
  }
  const lowestVcn = view.u64le(16);
  const pairsAt = view.u16le(32);
  return {
    ...head,
    kind: "mapped",
    lowestVcn,
    mappingPairs: view.slice(pairsAt, view.length - pairsAt),
    sizes: lowestVcn === 0 ? parseSizes(view, head.flags) : undefined,
  };
}

function parseSizes(view: ByteView, flags: number): MappedSizes {
  const [sizeBytes, initializedBytes] = [view.u64le(48), view.u64le(56)];
  if (initializedBytes > sizeBytes) {
    throw imageCorrupt(view.where, `an attribute of ${sizeBytes} bytes cannot have ${initializedBytes} initialized`);
  }
  const compressed = (flags & attributeFlags.compressed) !== 0;
  const unitLog2 = compressed ? view.u8(34) : 0;
  if (unitLog2 > largestUnitLog2) throw imageCorrupt(view.where, `a compression unit of 2^${unitLog2} clusters`);
  return { sizeBytes, initializedBytes, unitClusters: compressed && unitLog2 > 0 ? 2 ** unitLog2 : 0 };
}
