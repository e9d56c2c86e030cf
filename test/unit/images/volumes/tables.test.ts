import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assembleVolumes } from "../../../../shared/images/volumes/assemble-volumes.ts";
import { memoryDevice } from "../../../../shared/images/overlay-device.ts";
import type { Volume } from "../../../../shared/images/volumes/volume.ts";

const signal = new AbortController().signal;
const kib = 1024;
const linux = "0fc63daf-8483-4772-8e79-3d69d8477de4";

async function volumesOf(disk: Uint8Array, sectorBytes = 512): Promise<readonly Volume[]> {
  return assembleVolumes([{ name: "os", device: memoryDevice(disk), sectorBytes }], signal);
}

interface GptEntry {
  readonly slot: number;
  readonly first: number;
  readonly last: number;
  readonly name?: string;
}

/** A disk with the table at both of its ends, as the specification lays them. */
function gptDisk(sectors: number, sectorBytes: number, entries: readonly GptEntry[]): Buffer {
  const disk = Buffer.alloc(sectors * sectorBytes);
  disk.writeUInt8(0xee, 446 + 4);
  disk.writeUInt32LE(1, 446 + 8);
  disk.writeUInt32LE(sectors - 1, 446 + 12);
  disk.writeUInt16LE(0xaa55, 510);
  const array = Buffer.alloc(128 * 128);
  for (const { slot, first, last, name = "" } of entries) {
    const at = 128 * (slot - 1);
    const guid = Buffer.from(linux.replaceAll("-", ""), "hex");
    for (const [to, from] of [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].entries())
      array[at + to] = guid[from] ?? 0;
    array.writeBigUInt64LE(BigInt(first), at + 32);
    array.writeBigUInt64LE(BigInt(last), at + 40);
    array.write(name, at + 56, "utf16le");
  }
  const arraySectors = array.length / sectorBytes;
  for (const [lba, other, arrayLba] of [
    [1, sectors - 1, 2],
    [sectors - 1, 1, sectors - 1 - arraySectors],
  ] as const) {
    const header = disk.subarray(lba * sectorBytes);
    header.write("EFI PART", 0, "latin1");
    header.writeUInt32LE(0x10000, 8);
    header.writeUInt32LE(92, 12);
    header.writeBigUInt64LE(BigInt(lba), 24);
    header.writeBigUInt64LE(BigInt(other), 32);
    header.writeBigUInt64LE(BigInt(2 + arraySectors), 40);
    header.writeBigUInt64LE(BigInt(sectors - 2 - arraySectors), 48);
    header.writeBigUInt64LE(BigInt(arrayLba), 72);
    header.writeUInt32LE(128, 80);
    header.writeUInt32LE(128, 84);
    header.writeUInt32LE(crc32(array), 88);
    header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
    array.copy(disk, arrayLba * sectorBytes);
  }
  return disk;
}

describe("A GPT", () => {
  test("without any MBR before it is still listed", async () => {
    const disk = gptDisk(1000, 512, [{ slot: 1, first: 200, last: 299 }]);
    disk.fill(0, 0, 512);
    expect((await volumesOf(disk)).map((volume) => volume.name)).toEqual(["os", "os/p1"]);
  });

  const entries = [
    { slot: 14, first: 100, last: 103, name: "boot" },
    { slot: 1, first: 200, last: 299, name: "root \u202e" },
  ];

  test.for([512, 4096])("with sectors of %i bytes keeps its slot numbers and names", async (sectorBytes) => {
    const volumes = await volumesOf(gptDisk(1000, sectorBytes, entries));
    expect(
      volumes.map(({ name, sizeBytes, note }) => ({ name, sectors: sizeBytes / sectorBytes, note })),
    ).toMatchObject([
      { name: "os", sectors: 1000, note: undefined },
      { name: "os/p1", sectors: 100, note: expect.stringMatching(/^Linux filesystem, "root \?"; the first|all zeros/) },
      { name: "os/p14", sectors: 4, note: 'Linux filesystem, "boot"; all zeros' },
    ]);
  });

  test.for([512, 4096])(
    "whose primary of %i bytes a sector is damaged is read from its backup, and says so",
    async (sectorBytes) => {
      for (const at of [sectorBytes + 40, 2 * sectorBytes + 33]) {
        const disk = gptDisk(1000, sectorBytes, entries);
        disk.writeUInt8(disk.readUInt8(at) ^ 1, at);
        const volumes = await volumesOf(disk);
        expect(volumes.map((volume) => volume.name)).toEqual(["os", "os/p1", "os/p14"]);
        expect(volumes[0]?.note).toContain("its backup at the end of the disk was taken");
      }
    },
  );

  test("damaged in both copies is told, and hides nothing else", async () => {
    const disk = gptDisk(1000, 512, entries);
    disk.writeUInt8(1, 512 + 40);
    disk.writeUInt8(1, 999 * 512 + 40);
    const other = memoryDevice(gptDisk(1000, 512, entries));
    const volumes = await assembleVolumes(
      [
        { name: "a", device: memoryDevice(disk) },
        { name: "b", device: other },
      ],
      signal,
    );
    expect(volumes.map((volume) => volume.name)).toEqual(["a", "b", "b/p1", "b/p14"]);
    expect(volumes[0]?.note).toContain("neither the GPT nor its backup can be read");
  });

  test("that contradicts itself gives the partitions that lie on the disk, with notes", async () => {
    const odd = [
      { slot: 1, first: 100, last: 199 },
      { slot: 2, first: 150, last: 160 },
      { slot: 3, first: 900, last: 2000 },
      { slot: 4, first: 5000, last: 5001 },
      { slot: 5, first: 300, last: 250 },
    ];
    const volumes = await volumesOf(gptDisk(1000, 512, odd));
    expect(volumes.map((volume) => volume.name)).toEqual(["os", "os/p1", "os/p2", "os/p3"]);
    expect(volumes.map((volume) => volume.note)).toEqual([
      "partition 4 does not lie on the disk and is left out; partition 5 does not lie on the disk and is left out",
      expect.stringContaining("overlaps partition 2"),
      expect.stringContaining("overlaps partition 1"),
      expect.stringContaining("beyond the end of the disk, and is cut there"),
    ]);
    expect(volumes[3]?.sizeBytes).toBe(100 * 512);
  });
});

interface MbrEntry {
  readonly type: number;
  readonly start: number;
  readonly count: number;
}

function putTable(disk: Buffer, sector: number, entries: Readonly<Record<number, MbrEntry>>): void {
  for (const [slot, { type, start, count }] of Object.entries(entries)) {
    const at = sector * 512 + 446 + 16 * (Number(slot) - 1);
    disk.writeUInt8(type, at + 4);
    disk.writeUInt32LE(start, at + 8);
    disk.writeUInt32LE(count, at + 12);
  }
  disk.writeUInt16LE(0xaa55, sector * 512 + 510);
}

describe("An MBR", () => {
  test("that was made over a GPT and its partitions counts, as for Linux and Windows, and says what is left over", async () => {
    const disk = gptDisk(1000, 512, [{ slot: 1, first: 200, last: 299 }]);
    disk.fill(0, 446, 510);
    putTable(disk, 0, { 2: { type: 0x83, start: 300, count: 90 } });
    const volumes = await volumesOf(disk);
    expect(volumes.map((volume) => volume.name)).toEqual(["os", "os/p2"]);
    expect(volumes[0]?.note).toContain("GPT");
  });

  function chained(): Buffer {
    const disk = Buffer.alloc(1000 * 512);
    putTable(disk, 0, { 1: { type: 0x83, start: 10, count: 90 }, 3: { type: 0x0f, start: 100, count: 800 } });
    putTable(disk, 100, { 1: { type: 0x83, start: 1, count: 99 }, 2: { type: 0x05, start: 200, count: 200 } });
    putTable(disk, 300, { 1: { type: 0x82, start: 1, count: 99 }, 2: { type: 0x05, start: 500, count: 100 } });
    putTable(disk, 600, { 1: { type: 0x8e, start: 1, count: 99 } });
    return disk;
  }

  test("numbers primary and logical partitions as Linux does", async () => {
    const volumes = await volumesOf(chained());
    expect(volumes.map(({ name, sizeBytes }) => `${name} ${sizeBytes / 512}`)).toEqual([
      "os 1000",
      "os/p1 90",
      "os/p3 800",
      "os/p5 99",
      "os/p6 99",
      "os/p7 99",
    ]);
    expect(volumes[2]?.content).toEqual({ kind: "partition-table", type: "mbr" });
  });

  test("whose chain leads in a circle ends, and says so", async () => {
    const disk = chained();
    putTable(disk, 600, { 2: { type: 0x05, start: 200, count: 100 } });
    const volumes = await volumesOf(disk);
    expect(volumes.map((volume) => volume.name)).toEqual(["os", "os/p1", "os/p3", "os/p5", "os/p6", "os/p7"]);
    expect(volumes[0]?.note).toContain("leads in a circle");
  });

  test("whose chain breaks keeps what came before, and says so", async () => {
    const disk = chained();
    disk.fill(0, 300 * 512, 301 * 512);
    const volumes = await volumesOf(disk);
    expect(volumes.map((volume) => volume.name)).toEqual(["os", "os/p1", "os/p3", "os/p5"]);
    expect(volumes[0]?.note).toContain("ends without a table at sector 300");
  });

  test("is not seen in the boot sector of a FAT or an NTFS", async () => {
    const disk = Buffer.alloc(64 * kib, 0x5a);
    disk.write("NTFS    ", 3, "latin1");
    disk.writeUInt16LE(512, 11);
    disk.writeBigUInt64LE(127n, 40);
    disk.writeUInt16LE(0xaa55, 510);
    expect(await volumesOf(disk)).toMatchObject([{ name: "os", content: { kind: "file-system", type: "ntfs" } }]);
  });

  test("counts in the disk's sectors", async () => {
    const disk = Buffer.alloc(1000 * 4096);
    putTable(disk, 0, { 1: { type: 0x83, start: 10, count: 90 } });
    expect((await volumesOf(disk, 4096))[1]?.sizeBytes).toBe(90 * 4096);
  });

  test("with a dynamic disk is listed as such, whatever its first bytes look like", async () => {
    const disk = Buffer.alloc(1000 * 512);
    putTable(disk, 0, { 1: { type: 0x42, start: 63, count: 900 } });
    disk.write("NTFS    ", 63 * 512 + 3, "latin1");
    disk.writeUInt16LE(512, 63 * 512 + 11);
    expect((await volumesOf(disk))[1]).toMatchObject({ content: { kind: "foreign", type: "ldm" } });
  });
});

describe("Any bytes at all", () => {
  test("are listed without an error, and every volume can be read within its size", async () => {
    const table = fc.constantFrom(
      gptDisk(200, 512, [{ slot: 3, first: 50, last: 99 }]),
      Buffer.alloc(200 * 512),
      (() => {
        const disk = Buffer.alloc(200 * 512);
        putTable(disk, 0, { 1: { type: 0x05, start: 10, count: 90 } });
        putTable(disk, 10, { 1: { type: 0x83, start: 1, count: 9 } });
        return disk;
      })(),
    );
    const change = fc.tuple(fc.nat(200 * 512 - 1), fc.integer({ min: 0, max: 255 }));
    const near = fc.tuple(fc.nat(600), fc.integer({ min: 0, max: 255 }));
    await fc.assert(
      fc.asyncProperty(table, fc.array(fc.oneof(change, near), { maxLength: 20 }), async (base, changes) => {
        const disk = Buffer.from(base);
        for (const [at, value] of changes) disk.writeUInt8(value, at);
        for (const { device, sizeBytes } of await volumesOf(disk)) {
          expect((await device?.read(0, sizeBytes, signal))?.length).toBe(sizeBytes);
        }
      }),
      { numRuns: 200 },
    );
  });
});
