import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FarsideError } from "../../../../shared/core/errors.ts";
import { ByteView } from "../../../../shared/images/byte-view.ts";
import { decompressLznt1 } from "../../../../shared/images/file-systems/ntfs/lznt1.ts";
import { linkTarget, parseReparsePoint } from "../../../../shared/images/file-systems/ntfs/reparse-point.ts";
import type { Run } from "../../../../shared/images/file-systems/ntfs/runlist.ts";
import { clipRun, decodeRuns } from "../../../../shared/images/file-systems/ntfs/runlist.ts";
import { parseStandardInformation } from "../../../../shared/images/file-systems/ntfs/standard-information.ts";
import type { MappedStream } from "../../../../shared/images/file-systems/ntfs/stream.ts";
import { stretches } from "../../../../shared/images/file-systems/ntfs/stream.ts";
import { restoreRecord } from "../../../../shared/images/file-systems/ntfs/update-sequence.ts";

const signal = new AbortController().signal;

describe("LZNT1", () => {
  test("gives what [MS-XCA] 3.3 shows", () => {
    const packed = Buffer.from(
      "38b08846232000204720410010a24701a045204400084501507900c045200524" +
        "138805b4024a44ef0358028c091601484500be009e000401189000",
      "hex",
    );
    const text =
      "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A " +
      "F# F# G A A G F# E D D E F# E D D\0";
    expect(Buffer.from(decompressLznt1(packed, 142, "test")).toString()).toBe(text);
    expect([...decompressLznt1(packed, 145, "test").subarray(142)]).toEqual([0, 0, 0]);
  });

  test("takes chunks as they are, and gives each 4096 bytes of its own", () => {
    const packed = Buffer.concat([
      Buffer.from([2, 0x30]),
      Buffer.from("abc"),
      Buffer.from([0, 0x30]),
      Buffer.from("d"),
    ]);
    const found = Buffer.from(decompressLznt1(packed, 8192, "test"));
    expect([found.toString("latin1", 0, 4), found.toString("latin1", 4096, 4098)]).toEqual(["abc\0", "d\0"]);
  });

  test("of any bytes ends in as many bytes as were asked for, or says that it is damaged", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(9000), (packed, sizeBytes) => {
        expect([sizeBytes, "image-corrupt"]).toContain(lengthOrCode(packed, sizeBytes));
      }),
    );
  });

  const lengthOrCode = (packed: Uint8Array, sizeBytes: number): unknown => {
    try {
      return decompressLznt1(packed, sizeBytes, "test").length;
    } catch (error) {
      return error instanceof FarsideError ? error.code : error;
    }
  };
});

describe("Mapping pairs", () => {
  const decode = (hex: string, clusterCount = 0x100000): Run[] => [
    ...decodeRuns(Buffer.from(hex, "hex"), 0, clusterCount, "test"),
  ];

  test("lead forwards, backwards, and to nowhere where the file is sparse", () => {
    expect(decode("2118345611 20e0 0110 3108 800200 00".replaceAll(" ", ""))).toEqual([
      { vcn: 0, clusters: 0x18, lcn: 0x5634 },
      { vcn: 0x18, clusters: 0x20, lcn: 0x5634 - 0x20 },
      { vcn: 0x38, clusters: 0x10, lcn: undefined },
      { vcn: 0x48, clusters: 8, lcn: 0x5634 - 0x20 + 0x280 },
    ]);
  });

  test("are refused where they leave the volume, are empty, or end within a run", () => {
    for (const hex of ["2110ffff00", "110100", "11ff05", "1100050000", "3101", "0100", "f101", "8001"]) {
      expect(() => decode(hex, hex === "110100" ? 0 : 0x100000)).toThrow(/damaged at the test/);
    }
    expect(() => decode(`8101${"ff".repeat(7)}7f00`)).toThrow(/not within the volume/);
  });

  test("are cut to a range", () => {
    const run = { vcn: 10, clusters: 10, lcn: 100 };
    expect(clipRun(run, 12, 15)).toEqual({ vcn: 12, clusters: 3, lcn: 102 });
    expect(clipRun(run, 0, 10)).toBeUndefined();
    expect(clipRun({ ...run, lcn: undefined }, 19, 30)).toEqual({ vcn: 19, clusters: 1, lcn: undefined });
  });
});

describe("The update sequence", () => {
  const record = (): Buffer => {
    const bytes = Buffer.alloc(1024, 1);
    bytes.write("FILE", 0, "latin1");
    bytes.writeUInt16LE(48, 4);
    bytes.writeUInt16LE(3, 6);
    Buffer.from([0x34, 0x12, 0xaa, 0xbb, 0xcc, 0xdd]).copy(bytes, 48);
    for (const end of [510, 1022]) bytes.writeUInt16LE(0x1234, end);
    return bytes;
  };

  test("puts back the ends of sectors, in a copy", () => {
    const bytes = record();
    const view = restoreRecord(bytes, "FILE", "test");
    expect([view.u16be(510), view.u16be(1022)]).toEqual([0xaabb, 0xccdd]);
    expect(bytes).toEqual(record());
  });

  test("finds torn writes, and records that are something else", () => {
    const torn = record();
    torn.writeUInt16LE(0x1233, 1022);
    expect(() => restoreRecord(torn, "FILE", "test")).toThrow(/another write/);
    expect(() => restoreRecord(record(), "INDX", "test")).toThrow(/magic/);
    const bad = record();
    bad.write("BAAD", 0, "latin1");
    expect(() => restoreRecord(bad, "FILE", "test")).toThrow(/BAAD/);
    const long = record();
    long.writeUInt16LE(509, 4);
    expect(() => restoreRecord(long, "FILE", "test")).toThrow(/does not fit/);
  });
});

describe("Stretches of a stream", () => {
  const geometry = {
    sizeBytes: 4096 * 1000,
    clusterBytes: 4096,
    clusterCount: 1000,
    recordBytes: 1024,
    mftLcn: 4,
    serial: "0",
  };
  const streamOf = (runs: readonly Run[], sizes: Partial<MappedStream>): MappedStream => ({
    kind: "mapped",
    where: "test",
    flags: 0,
    sizeBytes: 100_000,
    initializedBytes: 100_000,
    unitClusters: 0,
    ...sizes,
    async *runs(from, until) {
      for (const run of runs) {
        const clipped = clipRun(run, from, until);
        if (clipped !== undefined) yield clipped;
      }
    },
  });

  test("are zeros beyond what was initialized", async () => {
    const stream = streamOf([{ vcn: 0, clusters: 25, lcn: 10 }], { initializedBytes: 5000 });
    expect(await Array.fromAsync(stretches(geometry, stream, 100, 9900, signal))).toEqual([
      { kind: "device", offset: 100, length: 4900, deviceOffset: 10 * 4096 + 100 },
      { kind: "hole", offset: 5000, length: 5000 },
    ]);
  });

  test("are compressed only where a unit has both data and a hole", async () => {
    const stream = streamOf(
      [
        { vcn: 0, clusters: 20, lcn: 100 },
        { vcn: 20, clusters: 12, lcn: undefined },
        { vcn: 32, clusters: 16, lcn: undefined },
        { vcn: 48, clusters: 5, lcn: 200 },
        { vcn: 53, clusters: 11, lcn: undefined },
      ],
      { unitClusters: 16, sizeBytes: 250_000, initializedBytes: 250_000 },
    );
    expect(await Array.fromAsync(stretches(geometry, stream, 0, 250_000, signal))).toEqual([
      { kind: "device", offset: 0, length: 65_536, deviceOffset: 100 * 4096 },
      {
        kind: "unit",
        offset: 65_536,
        length: 65_536,
        unitOffset: 65_536,
        parts: [{ deviceOffset: 116 * 4096, length: 4 * 4096 }],
      },
      { kind: "hole", offset: 131_072, length: 65_536 },
      {
        kind: "unit",
        offset: 196_608,
        length: 250_000 - 196_608,
        unitOffset: 196_608,
        parts: [{ deviceOffset: 200 * 4096, length: 5 * 4096 }],
      },
    ]);
  });

  test("are refused where clusters are not mapped", async () => {
    const gap = streamOf([{ vcn: 0, clusters: 2, lcn: 5 }], {});
    await expect(Array.fromAsync(stretches(geometry, gap, 0, 20_000, signal))).rejects.toMatchObject({
      code: "image-corrupt",
    });
  });
});

describe("A reparse point", () => {
  const link = (tag: number, head: readonly number[], target: string): string | undefined => {
    const text = Buffer.from(target, "utf16le");
    const data = Buffer.concat([Buffer.from([0, 0, text.length, 0, 0, 0, 0, 0, ...head]), text]);
    const value = Buffer.alloc(8);
    value.writeUInt32LE(tag, 0);
    value.writeUInt16LE(data.length, 4);
    return linkTarget(parseReparsePoint(new ByteView(Buffer.concat([value, data]), "test")));
  };

  test("that is a link has its target without the kernel's prefix", () => {
    expect(link(0xa0000003, [], "\\??\\C:\\mounted")).toBe("C:\\mounted");
    expect(link(0xa000000c, [0, 0, 0, 0], "\\??\\UNC\\host\\share")).toBe("\\\\host\\share");
    expect(link(0xa000000c, [1, 0, 0, 0], "..\\sibling")).toBe("..\\sibling");
    expect(link(0x80000017, [], "")).toBeUndefined();
  });

  test("that ends within its target is damaged", () => {
    const value = Buffer.from("0c0000a00c0000000000ff000000000000000000", "hex");
    expect(() => linkTarget(parseReparsePoint(new ByteView(value, "test")))).toThrow(/damaged/);
  });
});

test("Times count from 1601, in units of 100 ns, before 1970 too", () => {
  const bytes = Buffer.alloc(48);
  bytes.writeBigUInt64LE(116_444_736_000_000_001n, 0);
  bytes.writeBigUInt64LE(116_444_735_999_999_999n, 8);
  const found = parseStandardInformation(new ByteView(bytes, "test"));
  expect([found.createdNs, found.modifiedNs, found.changedNs]).toEqual([100n, -100n, -11_644_473_600_000_000_000n]);
});
