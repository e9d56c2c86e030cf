import { describe, expect, test } from "vitest";
import type { BlockDevice } from "../../../../shared/ports/block-device.ts";
import type { FileExtent, FilePiece } from "../../../../shared/ports/file-system.ts";
import { probeFat } from "../../../../shared/images/file-systems/fat/boot-sector.ts";
import { fatTimeNs } from "../../../../shared/images/file-systems/fat/fat-time.ts";
import { openFat } from "../../../../shared/images/file-systems/fat/open-fat.ts";
import { shortName, shortNameSum } from "../../../../shared/images/file-systems/fat/short-name.ts";
import { memoryDevice } from "../../../../shared/images/overlay-device.ts";
import type { FatPlan } from "../../../support/images/fat-image.ts";
import { fatImage, longEntries, shortEntry } from "../../../support/images/fat-image.ts";
import { fixtureImage } from "../../../support/images/hostile-image.ts";

const signal = new AbortController().signal;
const end = 0x0fffffff;

function plan(entries: readonly Uint8Array[], more: Partial<FatPlan> = {}): FatPlan {
  return {
    bits: 16,
    clusterBytes: 512,
    clusterCount: 5000,
    table: new Map(),
    clusters: new Map([[0, Buffer.concat(entries)]]),
    ...more,
  };
}

async function names(device: BlockDevice): Promise<string[]> {
  const fileSystem = await openFat(device, signal);
  return (await Array.fromAsync(fileSystem.list(fileSystem.root, signal))).map(({ name }) => name);
}

async function only(
  device: BlockDevice,
): Promise<{ read: () => Promise<FilePiece[]>; extents: () => Promise<FileExtent[]> }> {
  const fileSystem = await openFat(device, signal);
  const [entry] = await Array.fromAsync(fileSystem.list(fileSystem.root, signal));
  const node = entry?.node ?? -1;
  return {
    read: () => Array.fromAsync(fileSystem.read(node, { offset: 0, length: 2 ** 40 }, signal)),
    extents: () => Array.fromAsync(fileSystem.extents(node, signal)),
  };
}

describe("A short name", () => {
  const decode = (text: string, flags = 0): string => shortName(Buffer.from(text, "latin1"), flags);

  test("has its dot, its letters of code page 850, and small letters where Windows NT says so", () => {
    expect(decode("README  TXT")).toBe("README.TXT");
    expect(decode("README  TXT", 0x08)).toBe("readme.TXT");
    expect(decode("README  TXT", 0x18)).toBe("readme.txt");
    expect(decode("MAKEFILE   ", 0x10)).toBe("MAKEFILE");
    expect(decode("M\u0081NCHEN    ".slice(0, 11))).toBe("MüNCHEN");
    expect(decode("\u0099STERREI\u008e  ".slice(0, 11))).toBe("ÖSTERREI.Ä");
    expect(decode("\u0005TE     \u00b5X ")).toBe("ÕTE.ÁX");
  });

  test("has the sum that long names know it by", () => {
    // By the loop of fatgen103, which the long names of mtools satisfy, too (test/integration/images/fat.test.ts).
    expect(shortNameSum(Buffer.from("README  TXT"))).toBe(0x73);
  });
});

describe("A directory", () => {
  const alias = "LONGNA~1TXT";
  const short = shortEntry({ name: alias });

  test("shows long names, with emoji, of 13 letters, and of 255", async () => {
    for (const name of ["A long name.txt", "duck 🦆.txt", "thirteen unit", "x".repeat(255)]) {
      expect(await names(fatImage(plan([...longEntries(name, alias), short])))).toEqual([name]);
    }
  });

  test("shows a lone surrogate so that it can be typed", async () => {
    expect(await names(fatImage(plan([...longEntries("a\ud83d", alias), short])))).toEqual(["a\\xed\\xa0\\xbd"]);
  });

  test("shows the short name where the long one is torn, of another file, or leads elsewhere", async () => {
    const [third, second, first] = longEntries("a name of three entries of it", alias);
    if (first === undefined || second === undefined || third === undefined) throw new Error("Three entries expected.");
    for (const before of [
      [second, first],
      [third, first],
      [third, second],
      [third, first, second],
      longEntries("another's", "OTHERS~1TXT"),
      longEntries("../../etc/passwd", alias),
    ]) {
      expect(await names(fatImage(plan([...before, short])))).toEqual(["LONGNA~1.TXT"]);
    }
    expect(await names(fatImage(plan([third, second, first, short])))).toEqual(["a name of three entries of it"]);
  });

  test("shows neither free entries, nor labels, nor what lies after its end", async () => {
    const entries = [
      shortEntry({ name: "THE LABEL  ", attributes: 0x08 }),
      shortEntry({ name: "\u00e5REE    TXT" }),
      shortEntry({ name: "SHOWN   TXT" }),
      Buffer.alloc(32),
      shortEntry({ name: "OLD     TXT" }),
    ];
    const device = fatImage(plan(entries));
    expect(await names(device)).toEqual(["SHOWN.TXT"]);
    expect((await openFat(device, signal)).facts).toMatchObject({ label: "THE LABEL", uuid: "CAFE-0001" });
  });

  test("that leads back into itself, or to no cluster, is damaged", async () => {
    const folder = shortEntry({ name: "FOLDER     ", attributes: 0x10, cluster: 5 });
    const full = Buffer.concat(Array.from({ length: 16 }, () => shortEntry({ name: "\u00e5" })));
    for (const table of [
      [
        [5, 6],
        [6, 7],
        [7, 6],
      ],
      [[5, 5]],
      [[5, 0]],
      [
        [5, 6],
        [6, 1],
      ],
      [[5, 60_000]],
    ] as const) {
      const clusters = new Map([
        [0, folder],
        [5, full],
        [6, full],
        [7, full],
      ]);
      const fileSystem = await openFat(fatImage(plan([], { table: new Map(table), clusters })), signal);
      const [entry] = await Array.fromAsync(fileSystem.list(fileSystem.root, signal));
      await expect(Array.fromAsync(fileSystem.list(entry?.node ?? -1, signal))).rejects.toMatchObject({
        code: "image-corrupt",
      });
    }
  });

  test("is at most 2 MiB long", async () => {
    const folder = shortEntry({ name: "FOLDER     ", attributes: 0x10, cluster: 2 });
    const free = Buffer.concat(Array.from({ length: 16 }, () => shortEntry({ name: "\u00e5" })));
    const clusters = new Map([
      [0, folder],
      ...Array.from({ length: 4097 }, (_, at): [number, Buffer] => [at + 2, free]),
    ]);
    const listed = async (count: number): Promise<number> => {
      const table = new Map(Array.from({ length: count }, (_, at) => [at + 2, at + 1 === count ? end : at + 3]));
      const fileSystem = await openFat(fatImage(plan([], { table, clusters })), signal);
      const [entry] = await Array.fromAsync(fileSystem.list(fileSystem.root, signal));
      return (await Array.fromAsync(fileSystem.list(entry?.node ?? -1, signal))).length;
    };
    expect(await listed(4096)).toBe(0);
    await expect(listed(4097)).rejects.toMatchObject({ code: "image-corrupt" });
  });
});

describe("A file", () => {
  const entry = shortEntry({ name: "FILE    BIN", cluster: 9, sizeBytes: 1100 });

  test("follows its chain in tables of 12, 16 and 32 bits", async () => {
    for (const [bits, clusterCount] of [
      [12, 300],
      [16, 5000],
      // Fewer than the specification has it for FAT32, as on small EFI partitions.
      [32, 700],
    ] as const) {
      const table = new Map([
        [2, end],
        [9, 12],
        [12, 11],
        [11, end],
      ]);
      const clusters = new Map([
        [bits === 32 ? 2 : 0, entry],
        [9, Buffer.alloc(512, 1)],
        [12, Buffer.alloc(512, 2)],
        [11, Buffer.alloc(512, 3)],
      ]);
      const device = fatImage(plan([], { bits, clusterCount, table, clusters }));
      const pieces = await (await only(device)).read();
      const content = Buffer.concat(pieces.map((piece) => (piece.kind === "data" ? piece.content : Buffer.alloc(0))));
      expect(content).toEqual(Buffer.concat([Buffer.alloc(512, 1), Buffer.alloc(512, 2), Buffer.alloc(76, 3)]));
      expect(await probeFat(device, signal)).toBe("vfat");
    }
  });

  test("whose chain is too short, or leads back, is damaged", async () => {
    for (const table of [
      [
        [9, 10],
        [10, end],
      ],
      [
        [9, 10],
        [10, 9],
      ],
      [[9, 0xfff7]],
    ] as const) {
      const file = await only(fatImage(plan([entry], { table: new Map(table) })));
      await expect(file.read()).rejects.toMatchObject({ code: "image-corrupt" });
    }
  });

  test("of 4 GiB - 1 byte is read to its end", async () => {
    const clusterBytes = 65_536;
    const count = 65_536;
    const big = shortEntry({ name: "BIG     BIN", cluster: 3, sizeBytes: 2 ** 32 - 1 });
    const table = new Map([
      [2, end],
      ...Array.from({ length: count }, (_, at): [number, number] => [at + 3, at + 1 === count ? end : at + 4]),
    ]);
    const device = fatImage({ bits: 32, clusterBytes, clusterCount: count + 10, table, clusters: new Map([[2, big]]) });
    const extents = await (await only(device)).extents();
    expect(extents.reduce((sum, extent) => sum + extent.length, 0)).toBe(2 ** 32 - 1);
    const fileSystem = await openFat(device, signal);
    const [entry] = await Array.fromAsync(fileSystem.list(fileSystem.root, signal));
    const tail = fileSystem.read(entry?.node ?? -1, { offset: 2 ** 32 - 11, length: 100 }, signal);
    expect(await Array.fromAsync(tail)).toMatchObject([{ kind: "data", offset: 2 ** 32 - 11, length: 10 }]);
  });
});

describe("What is no FAT volume", () => {
  test("is told apart: exFAT, NTFS, a master boot record, nothing", async () => {
    const boot = async (change: (bytes: Buffer) => void): Promise<string | undefined> => {
      const bytes = Buffer.from(fixtureImage("fat12.img"));
      change(bytes);
      return probeFat(memoryDevice(bytes), signal);
    };
    expect(await boot(() => {})).toBe("vfat");
    expect(await boot((bytes) => bytes.write("EXFAT   ", 3, "latin1"))).toBeUndefined();
    expect(await boot((bytes) => bytes.write("NTFS    ", 3, "latin1"))).toBeUndefined();
    expect(await boot((bytes) => bytes.fill(0, 3, 446))).toBeUndefined();
    expect(await boot((bytes) => bytes.fill(0, 510, 512))).toBeUndefined();
    expect(await probeFat(memoryDevice(new Uint8Array(100)), signal)).toBeUndefined();
  });

  test("is refused where its parts cannot be within the device", async () => {
    const bytes = fixtureImage("fat12.img");
    await expect(openFat(memoryDevice(bytes.subarray(0, 100_000)), signal)).rejects.toMatchObject({
      code: "image-corrupt",
    });
  });
});

test("Times are read as UTC; a date that is none is not known", () => {
  expect(fatTimeNs((46 << 9) | (11 << 5) | 21, (6 << 11) | (30 << 5) | 5, 150)).toBe(
    BigInt(Date.UTC(2026, 10, 21, 6, 30, 10)) * 1_000_000n + 1_500_000_000n,
  );
  expect(fatTimeNs(0, 0, 0)).toBeUndefined();
});
