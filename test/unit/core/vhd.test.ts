import { describe, expect, test } from "vitest";
import { buildVhdFooter, diskBytesOf, parseVhdFooter, vhdFooterBytes, vhdGeometry } from "../../../shared/core/vhd.ts";

const mib = 1024 * 1024;
const gib = 1024 * mib;
const uniqueId = Uint8Array.from({ length: 16 }, (_, i) => i);

/** The footer of a disk of 5 GiB that Azure itself exported; the rest of its 512 bytes is zero. */
const fromAzure = Buffer.from(
  [
    "636f6e6563746978 00000002 00010000 ffffffffffffffff 2ec79b96 77610000",
    "00070000 5769326b 0000000140000000 0000000140000000 28a2103f 00000002",
    "ffffe747 8c54df94bd35714c945fe5444453921a 00",
  ]
    .join("")
    .replaceAll(" ", "")
    .padEnd(vhdFooterBytes * 2, "0"),
  "hex",
);

describe("A fixed VHD footer", () => {
  test("is, but for the creator, byte for byte the one that Azure wrote for a disk of 5 GiB", () => {
    const built = buildVhdFooter({
      sizeBytes: 5 * gib,
      createdAtMs: (0x2ec79b96 + 946_684_800) * 1000,
      uniqueId: fromAzure.subarray(68, 84),
      creator: { application: "wa\0\0", version: 0x0007_0000 },
    });
    expect(Buffer.from(built).toString("hex")).toBe(fromAzure.toString("hex"));
    expect(parseVhdFooter(fromAzure)).toEqual({ kind: "fixed", sizeBytes: 5 * gib });
  });

  test("names Hyper-V as its creator, so that every qemu shows the full size", () => {
    const built = buildVhdFooter({ sizeBytes: mib, createdAtMs: 0, uniqueId });
    expect(Buffer.from(built.subarray(28, 32)).toString("latin1")).toBe("win ");
  });

  test.each([512, mib, 3 * gib + 512, 8191 * gib, 32_767 * gib])("of %d bytes is read back", (sizeBytes) => {
    const built = buildVhdFooter({ sizeBytes, createdAtMs: 1_700_000_000_000, uniqueId });
    expect(parseVhdFooter(built)).toEqual({ kind: "fixed", sizeBytes });
  });

  test("with any byte changed is damaged, or none at all", () => {
    const built = buildVhdFooter({ sizeBytes: 5 * gib, createdAtMs: 1_700_000_000_000, uniqueId });
    for (let at = 0; at < built.length; at++) {
      const changed = Uint8Array.from(built);
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      expect(parseVhdFooter(changed).kind).toBe(at < 8 ? "none" : "damaged");
    }
  });

  test("of a dynamic or differencing disk is not a fixed one", () => {
    for (const [type, name] of [
      [3, "dynamic"],
      [4, "differencing"],
    ] as const) {
      const built = buildVhdFooter({ sizeBytes: mib, createdAtMs: 0, uniqueId });
      const view = new DataView(built.buffer);
      // The checksum counts down by what the type counts up.
      view.setUint32(60, type);
      view.setUint32(64, view.getUint32(64) - (type - 2));
      expect(parseVhdFooter(built)).toEqual({ kind: "other-vhd", type: name });
    }
  });

  test("is refused for sizes and ids that cannot be", () => {
    expect(() => buildVhdFooter({ sizeBytes: 1000, createdAtMs: 0, uniqueId })).toThrow(/512/);
    expect(() => buildVhdFooter({ sizeBytes: 512, createdAtMs: 0, uniqueId: new Uint8Array(4) })).toThrow(/16/);
  });
});

describe("The disk in a blob or file", () => {
  test("is what stands before a footer of just that size", () => {
    const footer = buildVhdFooter({ sizeBytes: mib, createdAtMs: 0, uniqueId });
    expect(diskBytesOf(mib + 512, footer)).toBe(mib);
  });

  test("is all of it where there is no footer, a damaged one, or one of another size", () => {
    const footer = buildVhdFooter({ sizeBytes: mib, createdAtMs: 0, uniqueId });
    expect(diskBytesOf(mib, new Uint8Array(512))).toBe(mib);
    expect(diskBytesOf(mib, footer)).toBe(mib);
    expect(diskBytesOf(2 * mib + 512, footer)).toBe(2 * mib + 512);
    expect(diskBytesOf(mib + 512, footer.fill(0, 100, 101).fill(7, 200, 201))).toBe(mib + 512);
  });
});

describe("The geometry", () => {
  test.each([
    [5 * gib, { cylinders: 10_402, heads: 16, sectorsPerTrack: 63 }],
    [100 * mib, { cylinders: 1003, heads: 12, sectorsPerTrack: 17 }],
    [127 * gib, { cylinders: 65_278, heads: 16, sectorsPerTrack: 255 }],
    [8191 * gib, { cylinders: 65_535, heads: 16, sectorsPerTrack: 255 }],
  ])("of %d bytes is that of the specification's appendix", (sizeBytes, geometry) => {
    expect(vhdGeometry(sizeBytes)).toEqual(geometry);
  });
});
