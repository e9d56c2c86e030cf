import { describe, expect, test } from "vitest";
import { ByteView } from "../../../../shared/images/byte-view.ts";
import { crc32cRaw } from "../../../../shared/images/crc32c.ts";
import { shownAccessList } from "../../../../shared/images/file-systems/ext/attribute-names.ts";
import { crc16 } from "../../../../shared/images/file-systems/ext/crc16.ts";
import { directoryEntries } from "../../../../shared/images/file-systems/ext/directory-block.ts";
import { descriptorBlock } from "../../../../shared/images/file-systems/ext/group-descriptor.ts";
import { openExt } from "../../../../shared/images/file-systems/ext/open-ext.ts";
import { probeExt } from "../../../../shared/images/file-systems/ext/probe-ext.ts";
import { parseSuperblock } from "../../../../shared/images/file-systems/ext/superblock.ts";
import { plainVolume } from "../../../../shared/images/file-systems/ext/ext-volume.ts";
import { readContent } from "../../../../shared/images/file-systems/ext/file-content.ts";
import { readDirectory } from "../../../../shared/images/file-systems/ext/directory.ts";
import { inodeFlags, nanoseconds, parseInode } from "../../../../shared/images/file-systems/ext/inode.ts";
import { memoryDevice } from "../../../../shared/images/overlay-device.ts";

const signal = new AbortController().signal;

/** Of 8,192 blocks of 1 KiB in one group. */
function superblockBytes(change: (bytes: Buffer) => void = () => {}): Buffer {
  const bytes = Buffer.alloc(1024);
  bytes.writeUInt32LE(2048, 0);
  bytes.writeUInt32LE(8193, 4);
  bytes.writeUInt32LE(1, 0x14);
  bytes.writeUInt32LE(8192, 0x20);
  bytes.writeUInt32LE(2048, 0x28);
  bytes.writeUInt16LE(0xef53, 0x38);
  bytes.writeUInt16LE(1, 0x3a);
  bytes.writeUInt32LE(1, 0x4c);
  bytes.writeUInt32LE(11, 0x54);
  bytes.writeUInt16LE(256, 0x58);
  change(bytes);
  return bytes;
}

function parse(change?: (bytes: Buffer) => void): ReturnType<typeof parseSuperblock> {
  return parseSuperblock(superblockBytes(change), 2 ** 40);
}

test("The sum over old group descriptors is CRC-16/ARC of the catalogue of CRCs", () => {
  expect(crc16(0, Buffer.from("123456789"))).toBe(0xbb3d);
});

describe("The superblock", () => {
  test("of revision 0 has no features and inodes of 128 bytes, whatever else it says", () => {
    const { type, inodeBytes, firstInode } = parse((bytes) => {
      bytes.writeUInt32LE(0, 0x4c);
      bytes.writeUInt32LE(0xffff, 0x60);
      bytes.writeUInt32LE(500, 0x54);
    });
    expect([type, inodeBytes, firstInode]).toEqual(["ext2", 128, 11]);
  });

  test("names the features that cannot be read", () => {
    const refused = (bit: number): unknown => parse((bytes) => bytes.writeUInt32LE(bit, 0x60));
    expect(() => refused(0x1)).toThrow(/feature compression cannot be read/);
    expect(() => refused(0x1000)).toThrow(/feature dirdata/);
    expect(() => refused(0x80040000)).toThrow(/feature incompat bit 0x40000, incompat bit 0x80000000/);
  });

  test("may have unknown features that matter to writers only", () => {
    expect(parse((bytes) => bytes.writeUInt32LE(0x80000000, 0x64)).type).toBe("ext4");
  });

  test("is refused where it contradicts itself or the device", () => {
    const changes: ((bytes: Buffer) => void)[] = [
      (bytes) => bytes.writeUInt16LE(0, 0x38),
      (bytes) => bytes.writeUInt32LE(7, 0x18),
      (bytes) => bytes.writeUInt16LE(100, 0x58),
      (bytes) => bytes.writeUInt16LE(2048, 0x58),
      (bytes) => bytes.writeUInt32LE(0, 0x20),
      (bytes) => bytes.writeUInt32LE(0, 0x28),
      (bytes) => bytes.writeUInt32LE(2047, 0),
      (bytes) => bytes.writeUInt32LE(9000, 0x14),
      (bytes) => bytes.writeUInt32LE(0xffffffff, 4),
    ];
    for (const change of changes) expect(() => parse(change)).toThrow(/damaged at the ext superblock/);
  });

  test("has a checksum, which is verified where there are metadata checksums", () => {
    const change = (bytes: Buffer): void => {
      bytes.writeUInt32LE(0x400, 0x64);
      bytes.writeUInt8(1, 0x175);
    };
    expect(() => parse(change)).toThrow(/its checksum is wrong/);
    const summed = parse((bytes) => {
      change(bytes);
      bytes.writeUInt32LE(crc32cRaw(0xffffffff, bytes.subarray(0, 0x3fc)), 0x3fc);
    });
    expect(summed.type).toBe("ext4");
  });

  test("is found by its magic number, and a journal's own device is no file system", async () => {
    const probe = (change?: (bytes: Buffer) => void): Promise<string | undefined> =>
      probeExt(memoryDevice(Buffer.concat([Buffer.alloc(1024), superblockBytes(change)])), signal);
    expect(await probe()).toBe("ext2");
    expect(await probe((bytes) => bytes.writeUInt32LE(4, 0x5c))).toBe("ext3");
    expect(await probe((bytes) => bytes.writeUInt32LE(0x40, 0x60))).toBe("ext4");
    expect(await probe((bytes) => bytes.writeUInt32LE(0x8, 0x60))).toBeUndefined();
    expect(await probe((bytes) => bytes.writeUInt16LE(0, 0x38))).toBeUndefined();
    expect(await probeExt(memoryDevice(Buffer.alloc(1500)), signal)).toBeUndefined();
    await expect(openExt(memoryDevice(Buffer.alloc(1500)), signal)).rejects.toMatchObject({ code: "image-corrupt" });
  });
});

describe("Blocks of group descriptors", () => {
  test("follow the superblock", () => {
    expect(descriptorBlock(parse(), 0)).toBe(2);
    const large = parse((bytes) => {
      bytes.writeUInt32LE(2, 0x18);
      bytes.writeUInt32LE(0, 0x14);
      bytes.writeUInt32LE(8192, 4);
    });
    expect(descriptorBlock(large, 3)).toBe(4);
  });

  test("lie in their groups under meta_bg, behind the copy of the superblock where there is one", () => {
    const superblock = parse((bytes) => {
      bytes.writeUInt32LE(0x10, 0x60);
      bytes.writeUInt32LE(1, 0x64);
    });
    // 32 descriptors a block: the second block is that of group 32, the third of 64; groups 1, 3, 5, 7, 9, 25, 27 … have copies.
    expect([0, 1, 2].map((index) => descriptorBlock(superblock, index))).toEqual([2, 262145, 524289]);
    const everywhere = { ...superblock, features: { ...superblock.features, readOnlyCompatible: 0 } };
    expect(descriptorBlock(everywhere, 1)).toBe(262146);
  });
});

describe("Times", () => {
  test("reach from 1901 to 2446", () => {
    expect(nanoseconds(-(2 ** 31), 0)).toBe(-2147483648_000000000n);
    expect(nanoseconds(-1, (999_999_999 << 2) >>> 0)).toBe(-1n);
    expect(nanoseconds(-(2 ** 31), 1)).toBe(2147483648_000000000n);
    expect(nanoseconds(2 ** 31 - 1, 3)).toBe(15032385535_000000000n);
    expect(nanoseconds(5, 7 * 4)).toBe(5_000000007n);
  });
});

describe("An access control list", () => {
  test("is shown as setfattr takes it", () => {
    // user::rw-, user:1000:rwx, group::r--, mask::rwx, other::---
    const words = ["01000000", "01000600", "02000700e8030000", "04000400", "10000700", "20000000"];
    const stored = Buffer.from(words.join(""), "hex");
    const shown = Buffer.from(shownAccessList(new ByteView(stored, "list"))).toString("hex");
    expect(shown).toBe("0200000001000600ffffffff02000700e803000004000400ffffffff10000700ffffffff20000000ffffffff");
  });

  test("of another version, or cut off, is damaged", () => {
    for (const digits of ["02000000", "0100", "010000000200", "010000000200070001"]) {
      expect(() => shownAccessList(new ByteView(Buffer.from(digits, "hex"), "list"))).toThrow(/damaged at the list/);
    }
  });
});

describe("A block of a directory", () => {
  function entry(inode: number, bytes: number, name: string, type = 1): Buffer {
    const entry = Buffer.alloc(bytes);
    entry.writeUInt32LE(inode, 0);
    entry.writeUInt16LE(bytes === 65536 ? 0 : bytes, 4);
    entry.writeUInt8(Buffer.byteLength(name), 6);
    entry.writeUInt8(type, 7);
    entry.write(name, 8);
    return entry;
  }
  const typed = parse((bytes) => bytes.writeUInt32LE(2, 0x60));
  const read = (...entries: readonly Buffer[]): string[] =>
    [...directoryEntries(typed, new ByteView(Buffer.concat(entries), "directory"))].map(
      ({ inode, name, kind }) => `${inode} ${Buffer.from(name).toString()} ${kind}`,
    );

  test("has names, without those for itself, its parent and nothing", () => {
    expect(
      read(
        entry(2, 12, ".", 2),
        entry(2, 12, "..", 2),
        entry(0, 16, "gone"),
        entry(12, 16, "...", 7),
        entry(13, 24, "ünï"),
      ),
    ).toEqual(["12 ... link", "13 ünï file"]);
  });

  test("may be one entry over 64 KiB", () => {
    expect(read(entry(12, 65536, "large"))).toEqual(["12 large file"]);
  });

  test("is damaged where an entry leads out of it or cannot be", () => {
    const wrong = [
      [entry(12, 12, "name").fill(0, 4, 6)],
      [entry(12, 12, "name").fill(8, 4, 5)],
      [entry(12, 14, "name")],
      [entry(12, 12, "four5").subarray(0, 12)],
      [entry(12, 16, "name").subarray(0, 12)],
      [entry(12, 12, "")],
      [entry(12, 12, "a/b")],
      [entry(12, 12, "a\0b")],
      [entry(2049, 12, "far")],
    ];
    for (const entries of wrong) expect(() => read(...entries)).toThrow(/damaged at the directory/);
  });
});

describe("A hostile map of a file", () => {
  const blocks = 16;

  /** Blocks of 64 KiB, of which `fill` writes some; an inode whose i_block and size it says. */
  function hostile(
    mode: number,
    flags: number,
    sizeBytes: number,
    fill: (root: DataView, block: (number: number) => DataView) => void,
  ): Parameters<typeof readContent> {
    const superblock = {
      ...parse((bytes) => {
        bytes.writeUInt32LE(6, 0x18);
        bytes.writeUInt32LE(0, 0x14);
        bytes.writeUInt32LE(8192, 4);
      }),
      blocks,
    };
    const bytes = new Uint8Array(blocks * 65536);
    const raw = new Uint8Array(256);
    const inode = new DataView(raw.buffer);
    inode.setUint16(0, mode, true);
    inode.setUint32(4, sizeBytes % 2 ** 32, true);
    inode.setUint32(0x6c, Math.floor(sizeBytes / 2 ** 32), true);
    inode.setUint32(0x20, flags, true);
    fill(new DataView(raw.buffer, 0x28, 60), (number) => new DataView(bytes.buffer, number * 65536, 65536));
    const volume = plainVolume(superblock, memoryDevice(bytes));
    return [volume, parseInode(superblock, 12, raw), { offset: 0, length: sizeBytes }, signal];
  }

  function fillAll(block: DataView, number: number): void {
    for (let at = 0; at < block.byteLength; at += 4) block.setUint32(at, number, true);
  }

  test("that leads to the same empty indirect block again and again is refused, not walked for hours", async () => {
    const args = hostile(0x8000, 0, 2 ** 47, (root, block) => {
      root.setUint32(14 * 4, 3, true);
      fillAll(block(3), 4);
      fillAll(block(4), 5);
    });
    await expect(Array.fromAsync(readContent(...args))).rejects.toThrow(/more nodes than the file system has blocks/);
  });

  test("that leads to the same empty leaf of extents again and again is refused", async () => {
    const header = (at: DataView, entries: number, depth: number): void => {
      for (const [index, value] of [0xf30a, entries, entries || 1, depth].entries())
        at.setUint16(index * 2, value, true);
    };
    const args = hostile(0x8000, inodeFlags.extents, 2 ** 40, (root, block) => {
      header(root, 1, 2);
      root.setUint32(16, 3, true);
      header(block(3), 5000, 1);
      for (let entry = 0; entry < 5000; entry++) {
        block(3).setUint32(12 + entry * 12, entry, true);
        block(3).setUint32(16 + entry * 12, 4, true);
      }
      header(block(4), 0, 0);
    });
    await expect(Array.fromAsync(readContent(...args))).rejects.toThrow(/more nodes than the file system has blocks/);
  });

  test("that has the same blocks of content a thousand times is refused once it has more than there are", async () => {
    const args = hostile(0x8000, 0, 2 ** 30, (root, block) => {
      root.setUint32(12 * 4, 3, true);
      fillAll(block(3), 5);
    });
    let read = 0;
    const reading = async (): Promise<void> => {
      for await (const piece of readContent(...args)) if (piece.kind === "data") read += piece.length;
    };
    await expect(reading()).rejects.toThrow(/more blocks than there are/);
    expect(read).toBeLessThanOrEqual(blocks * 65536);
  });

  test("of a directory with the same block twice is refused: its names would come twice", async () => {
    const [volume, inode] = hostile(0x4000, 0, 2 * 65536, (root, block) => {
      root.setUint32(0, 5, true);
      root.setUint32(4, 5, true);
      // One entry without an inode over the whole block.
      block(5).setUint16(4, 65535, true);
    });
    await expect(Array.fromAsync(readDirectory(volume, inode, signal))).rejects.toThrow(/came before/);
  });

  test("can be given up while it is walked through the cache alone", async () => {
    const args = hostile(0x8000, 0, 2 ** 47, (root, block) => {
      root.setUint32(14 * 4, 3, true);
      fillAll(block(3), 4);
      fillAll(block(4), 5);
    });
    const [volume, inode, range] = args;
    const endless = { ...volume, superblock: { ...volume.superblock, blocks: 2 ** 40 } };
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    const walk = Array.fromAsync(readContent(endless, inode, range, controller.signal));
    await expect(walk).rejects.toMatchObject({ name: "AbortError" });
  });
});
