import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteView } from "../../../../shared/images/byte-view.ts";
import { blockOffset, inodeOffset } from "../../../../shared/images/file-systems/xfs/addresses.ts";
import { leafAttributes, shortformAttributes } from "../../../../shared/images/file-systems/xfs/attribute-entry.ts";
import { verifyChecksum, writeChecksum } from "../../../../shared/images/file-systems/xfs/checksum.ts";
import { blockEntries, parseDirectoryBlock } from "../../../../shared/images/file-systems/xfs/directory-block.ts";
import { toDirectoryEntry } from "../../../../shared/images/file-systems/xfs/directory-entry.ts";
import { parseExtent } from "../../../../shared/images/file-systems/xfs/extents.ts";
import { parseFeatures } from "../../../../shared/images/file-systems/xfs/features.ts";
import { nameHash } from "../../../../shared/images/file-systems/xfs/name-hash.ts";
import { showAcl } from "../../../../shared/images/file-systems/xfs/posix-acl.ts";
import { shortformEntries } from "../../../../shared/images/file-systems/xfs/shortform-directory.ts";
import { parseSuperblock } from "../../../../shared/images/file-systems/xfs/superblock.ts";
import { superblockBytes, superblockOf } from "../../../support/images/xfs-superblock.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

describe("A superblock of XFS", () => {
  test("gives the numbers that everything else is found with", () => {
    expect(parseSuperblock(superblockBytes(), 2 ** 40)).toMatchObject({
      blockBytes: 4096,
      groupBlocks: 1000,
      groupBlockBits: 10,
      groupCount: 4,
      blockCount: 3900,
      inodeBytes: 512,
      inodeBits: 3,
      label: "label",
      features: { checksums: true, fileTypes: true },
    });
  });

  test.each([
    { what: "checksum", at: 108, value: 0x41, sum: false, message: /checksum/ },
    { what: "magic", at: 0, value: 0x59, sum: true, message: /XFSB/ },
    { what: "block size", at: 6, value: 0x11, sum: true, message: /blocks of/ },
    { what: "bits of block numbers", at: 124, value: 12, sum: true, message: /groups have no valid length/ },
    { what: "inodes in a block", at: 123, value: 4, sum: true, message: /inodes do not fill/ },
    { what: "unfinished mkfs", at: 126, value: 1, sum: true, message: /did not finish/ },
    { what: "directory blocks", at: 192, value: 5, sum: true, message: /directory blocks are too long/ },
  ])("with a damaged $what is refused as damaged", ({ at, value, sum, message }) => {
    const bytes = superblockBytes();
    bytes[at] = value;
    if (sum) writeChecksum(bytes.subarray(0, 512), 224);
    expect(() => parseSuperblock(bytes, 2 ** 40)).toThrow(expect.objectContaining({ code: "image-corrupt" }));
    expect(() => parseSuperblock(bytes, 2 ** 40)).toThrow(message);
  });

  test("larger than its device is refused", () => {
    expect(() => parseSuperblock(superblockBytes(), 3900 * 4096 - 1)).toThrow(/more than the device holds/);
    expect(parseSuperblock(superblockBytes(), 3900 * 4096).blockCount).toBe(3900);
  });

  test.each([
    [0x100, "metadata directory tree"],
    [0x200, "zoned storage"],
    [0x8000_0000, "incompatible feature 0x80000000"],
  ])("with the incompatible feature %i is refused by name", (bit, name) => {
    const bytes = superblockBytes();
    new DataView(bytes.buffer).setUint32(216, bit);
    const view = new ByteView(bytes, "XFS superblock");
    expect(() => parseFeatures(view)).toThrow(expect.objectContaining({ code: "not-supported" }));
    expect(() => parseFeatures(view)).toThrow(name);
  });

  test("with all features that are known is read", () => {
    const bytes = superblockBytes();
    new DataView(bytes.buffer).setUint32(216, 0xff);
    expect(parseFeatures(new ByteView(bytes, "XFS superblock"))).toMatchObject({ needsRepair: true, fileTypes: true });
  });
});

describe("Numbers of blocks and inodes", () => {
  const superblock = superblockOf();

  test("count within their group, with as many bits as the group's length needs", () => {
    expect(blockOffset(superblock, 0, 1, "test")).toBe(0);
    expect(blockOffset(superblock, 2 * 1024 + 5, 3, "test")).toBe((2 * 1000 + 5) * 4096);
    expect(inodeOffset(superblock, (3 * 1024 + 7) * 8 + 6)).toBe((3 * 1000 + 7) * 4096 + 6 * 512);
  });

  test.each([
    [1000, 1],
    [999, 2],
    [4 * 1024, 1],
    [3 * 1024 + 899, 2],
    [-1, 1],
    [2 ** 53, 1],
    [0, 0],
  ])("beyond a group or the file system are refused: block %i, %i blocks", (block, count) => {
    expect(() => blockOffset(superblock, block, count, "test")).toThrow(/not within the file system/);
  });
});

describe("Extents", () => {
  test("of any numbers come out of their 128 bits as they went in", () => {
    const parts = fc.record({
      unwritten: fc.boolean(),
      offset: fc.maxSafeNat(),
      block: fc.bigInt(0n, 2n ** 52n - 1n).map(Number),
      count: fc.nat(2 ** 21 - 1),
    });
    fc.assert(
      fc.property(parts, (extent) => {
        const bits =
          (extent.unwritten ? 2n ** 127n : 0n) +
          BigInt(extent.offset) * 2n ** 73n +
          BigInt(extent.block) * 2n ** 21n +
          BigInt(extent.count);
        const bytes = Buffer.from(bits.toString(16).padStart(32, "0"), "hex");
        expect(parseExtent(new ByteView(bytes, "test"), 0)).toEqual(extent);
      }),
    );
  });
});

describe("The hash of names", () => {
  /** As `xfs_db -c "hash <name>"` prints them. */
  test.each([
    ["a", 0x61],
    ["foo", 0x19b7ef],
    ["lost+found", 0x21aa60c],
    ["file-number-17", 0x863d76f4],
    ["SGI_ACL_FILE", 0x275b19c4],
  ])("of %s is that of the kernel", (name, hash) => {
    expect(nameHash(Buffer.from(name))).toBe(hash);
  });
});

describe("Checksums", () => {
  test("fit after they are written, and not after any bit changed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 600 }), fc.nat(), (bytes, bit) => {
        const view = new ByteView(bytes, "test");
        writeChecksum(bytes, 8);
        verifyChecksum(view, 8);
        const at = bit % (bytes.length * 8);
        bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7));
        expect(() => verifyChecksum(view, 8)).toThrow(/checksum/);
      }),
    );
  });
});

describe("Directories", () => {
  test("within an inode have inodes of 4 bytes, or of 8 where one needs it", () => {
    const narrow = Buffer.from([1, 0, 0, 0, 0, 128, 2, 0, 0, 0x61, 0x62, 2, 0, 0, 1, 0]);
    const wide = Buffer.from([1, 1, 0, 0, 0, 0, 0, 0, 0, 128, 1, 0, 0, 0x61, 0, 0, 0, 1, 0, 0, 0, 0]);
    const [one] = shortformEntries(new ByteView(narrow, "test"), true);
    const [other] = shortformEntries(new ByteView(wide, "test"), false);
    expect(one).toMatchObject({ inode: 256, type: 2 });
    expect(other).toMatchObject({ inode: 2 ** 32, type: 0 });
    expect(text(one?.name ?? new Uint8Array())).toBe("ab");
  });

  test("that say more entries than they hold are damaged", () => {
    const bytes = new ByteView(Buffer.from([200, 0, 0, 0, 0, 128, 1, 0, 0, 0x61, 1, 0, 0, 1, 0]), "test");
    expect(() => [...shortformEntries(bytes, true)]).toThrow(/not within its/);
  });

  test("in blocks are read from entry to entry over the free stretches", () => {
    const { block, view } = dataBlock();
    const entries = [...blockEntries(parseDirectoryBlock(block, true), superblockOf())];
    expect(entries.map(({ name, inode, type }) => [text(name), inode, type])).toEqual([
      [".", 128, 2],
      ["name", 77, 1],
    ]);
    expect(entries.map((entry) => toDirectoryEntry(entry, block))).toEqual([
      undefined,
      { name: "name", node: 77, kind: "file" },
    ]);
    view.setUint16(80 + 2, 4);
    expect(() => [...blockEntries(parseDirectoryBlock(block, true), superblockOf())]).toThrow(/free stretch/);
  });

  test("whose entries do not name their place are damaged", () => {
    const { block, view } = dataBlock();
    view.setUint16(64 + 14, 72);
    expect(() => [...blockEntries(parseDirectoryBlock(block, true), superblockOf())]).toThrow(/name its place/);
  });

  test.each(["", "a/b", "a\0b"])("never give the name %j", (name) => {
    const raw = { name: Buffer.from(name), inode: 5, type: 1 };
    expect(() => toDirectoryEntry(raw, new ByteView(new Uint8Array(), "test"))).toThrow(/no file can have/);
  });
});

describe("Attributes", () => {
  test("within an inode follow each other: lengths, flags, name, value", () => {
    const bytes = Buffer.from([0, 15, 2, 0, 1, 2, 2, 0x74, 1, 2, 1, 0, 4, 0x73, 9]);
    const found = [...shortformAttributes(new ByteView(bytes, "test"))];
    expect(found.map(({ name, flags, value }) => [text(name), flags, value])).toEqual([
      ["t", 2, Buffer.from([1, 2])],
      ["s", 4, Buffer.alloc(0)],
    ]);
  });

  test("in a leaf point to their values there, or in other blocks", () => {
    const bytes = Buffer.alloc(512);
    bytes.writeUInt16BE(0x3bee, 8);
    bytes.writeUInt16BE(2, 56);
    bytes.set([0, 0, 0, 0, 1, 0, 1, 0], 80); // at byte 256, local
    bytes.set([0, 0, 0, 0, 1, 64, 0, 0], 88); // at byte 320, remote
    bytes.set([0, 3, 1, 0x61, 7, 8, 9], 256);
    bytes.set([0, 0, 0, 5, 0, 0, 0x9c, 0x40, 1, 0x62], 320);
    const found = [...leafAttributes(new ByteView(bytes, "test"), true)];
    expect(found.map(({ name, value }) => [text(name), value])).toEqual([
      ["a", Buffer.from([7, 8, 9])],
      ["b", { block: 5, length: 40_000 }],
    ]);
  });

  test("that are access lists are shown in the form that programs know", () => {
    const entry = (tag: number, id: number, mode: number): number[] => [
      0,
      0,
      0,
      tag,
      0,
      0,
      id >> 8,
      id & 255,
      0,
      mode,
      0,
      0,
    ];
    const stored = Uint8Array.from([0, 0, 0, 2, ...entry(1, 0, 6), ...entry(2, 1000, 7)]);
    expect(Buffer.from(showAcl(stored, "test")).toString("hex")).toBe(
      ["02000000", "0100", "0600", "ffffffff", "0200", "0700", "e8030000"].join(""),
    );
    expect(() => showAcl(Uint8Array.from([0, 0, 0, 9]), "test")).toThrow(/cannot have 9 entries/);
  });
});

/** `.`, a free stretch, `name`, a free stretch to the end. */
function dataBlock(): { block: ByteView; view: DataView } {
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x58444433);
  const entry = (at: number, inode: number, name: string, type: number): void => {
    view.setBigUint64(at, BigInt(inode));
    bytes[at + 8] = name.length;
    bytes.set(Buffer.from(name), at + 9);
    bytes[at + 9 + name.length] = type;
    const length = Math.ceil((12 + name.length) / 8) * 8;
    view.setUint16(at + length - 2, at);
  };
  const free = (at: number, length: number): void => {
    view.setUint16(at, 0xffff);
    view.setUint16(at + 2, length);
  };
  entry(64, 128, ".", 2);
  free(80, 16);
  entry(96, 77, "name", 1);
  free(112, 400);
  return { block: new ByteView(bytes, "test"), view };
}
