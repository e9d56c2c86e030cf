/** The FAT reader against mkfs.fat and mtools: what was copied in must be read out. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, open, rm, utimes, writeFile, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FileSystem, NodeId } from "../../../shared/ports/file-system.ts";
import { openFileSystem } from "../../../shared/images/file-systems/open-file-system.ts";
import { probeFat } from "../../../shared/images/file-systems/fat/boot-sector.ts";
import type { FileDevice } from "../../support/images/file-device.ts";
import { openFileDevice } from "../../support/images/file-device.ts";
import type { TreeView } from "../../support/images/tree-view.ts";
import { contentOnly, differences, kernelView, readerView } from "../../support/images/tree-view.ts";
import { makeImage } from "../../support/images/mounted-image.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const mib = 1024 * 1024;
/** Names in UTF-8, times in UTC: FAT has neither a code nor a zone. */
const environment = { ...process.env, LC_ALL: "C.UTF-8", TZ: "UTC", MTOOLS_SKIP_CHECK: "1" };

async function mtool(name: string, image: string, ...args: readonly string[]): Promise<string> {
  return (await run(tool(name), ["-i", image, ...args], { env: environment })).stdout;
}

async function withImage<T>(
  path: string,
  work: (fileSystem: FileSystem, device: FileDevice) => Promise<T>,
): Promise<T> {
  const device = await openFileDevice(path);
  try {
    return await work(await openFileSystem("vfat", device, signal), device);
  } finally {
    await device.close();
  }
}

async function nodeAt(fileSystem: FileSystem, path: string): Promise<NodeId> {
  let node = fileSystem.root;
  for (const name of path.split("/")) {
    const entry = await fileSystem.lookup(node, name, signal);
    if (entry === undefined) throw new Error(`${name} of ${path} is missing`);
    node = entry.node;
  }
  return node;
}

describe.runIf(haveTools("mkfs.fat", "mcopy", "blkid"))("A FAT volume", () => {
  let folder = "";
  let expected: TreeView = new Map();
  /** As the specification tells them apart, which is how mtools does. */
  const kinds = [
    { bits: 12, sizeBytes: 8 * mib, args: ["-F", "12", "-s", "4", "-r", "512"] },
    { bits: 16, sizeBytes: 32 * mib, args: ["-F", "16", "-s", "4"] },
    { bits: 32, sizeBytes: 40 * mib, args: ["-F", "32", "-s", "1"] },
  ] as const;
  const imageOf = (index: number): string => join(folder, `fat-${index}.img`);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "farside-fat-"));
    const source = join(folder, "source");
    await fill(source);
    for (const [index, { sizeBytes, args }] of kinds.entries()) {
      await makeImage(imageOf(index), sizeBytes, "mkfs.fat", [...args, "-n", "OLD NAME", "-i", "1234ABCD"]);
      await fragment(imageOf(index), source);
      await mtool("mcopy", imageOf(index), "-s", "-m", ...(await topOf(source)), "::");
      await mtool("mattrib", imageOf(index), "+r", "::/README.TXT");
      await mtool("mlabel", imageOf(index), "::New name");
    }
    expected = await kernelView(source, contentOnly);
  }, 60_000);

  afterAll(async () => rm(folder, { recursive: true, force: true }));

  test.for(kinds.map((_, index) => index))("shows every name and byte that was copied into it (%i)", async (index) => {
    const found = await withImage(imageOf(index), (fileSystem) => readerView(fileSystem, signal, contentOnly));
    expect(differences(expected, found)).toEqual([]);
    expect(found.size).toBeGreaterThan(400);
  });

  test.for(kinds.map((_, index) => index))("has its label and number as blkid shows them (%i)", async (index) => {
    const image = imageOf(index);
    const value = async (tag: string): Promise<string> =>
      (await run(tool("blkid"), ["-p", "-o", "value", "-s", tag, image])).stdout.trim();
    expect(await value("VERSION")).toBe(`FAT${kinds[index]?.bits}`);
    await withImage(image, async ({ facts }, device) => {
      expect(facts).toMatchObject({ type: "vfat", uuid: await value("UUID"), state: { kind: "clean" } });
      expect(facts.label?.toLowerCase()).toBe((await value("LABEL")).toLowerCase());
      expect(facts.uuid).toBe("1234-ABCD");
      expect(await probeFat(device, signal)).toBe("vfat");
    });
  });

  test("has a file in pieces, so that chains are followed", async () => {
    for (const index of kinds.keys()) {
      const extents = await withImage(imageOf(index), async (fileSystem) =>
        Array.fromAsync(fileSystem.extents(await nodeAt(fileSystem, "in pieces.bin"), signal)),
      );
      expect(extents.length).toBeGreaterThan(20);
    }
  });

  test("finds names in any letter case, and by their short names", async () => {
    await withImage(imageOf(1), async (fileSystem) => {
      const long = await nodeAt(fileSystem, "A Long Name of a FILE.text");
      expect(await nodeAt(fileSystem, "a long name of a file.TEXT")).toBe(long);
      expect(await nodeAt(fileSystem, "ALONGN~1.TEX")).toBe(long);
      expect((await fileSystem.lookup(fileSystem.root, "größe ΩΜΈΓΑ.txt", signal))?.name).toBe("größe ωμέγα.txt");
      expect(await fileSystem.lookup(fileSystem.root, "NEW NAME", signal)).toBeUndefined();
    });
  });

  test("reads times as UTC, to two seconds, and takes the write bits from read-only files", async () => {
    await withImage(imageOf(2), async (fileSystem) => {
      const facts = await fileSystem.stat(await nodeAt(fileSystem, "README.TXT"), signal);
      expect(facts).toMatchObject({ modifiedNs: 1_600_000_000_000_000_000n, mode: 0o444, links: 1 });
    });
  });

  test("reads any range of a file", async () => {
    await withImage(imageOf(0), async (fileSystem) => {
      const node = await nodeAt(fileSystem, "in pieces.bin");
      const read = async (offset: number, length: number): Promise<Buffer> => {
        const parts: Uint8Array[] = [];
        for await (const piece of fileSystem.read(node, { offset, length }, signal)) {
          if (piece.kind === "data") parts.push(piece.content);
        }
        return Buffer.concat(parts);
      };
      const whole = await read(0, mib);
      // Backwards, so that what was found before does not lead there.
      for (const offset of [199_999, 100_000, 65_536, 4096, 5, 0, 200_000]) {
        expect(await read(offset, 3000)).toEqual(whole.subarray(offset, offset + 3000));
      }
    });
  });

  test("is dirty where its marks say so", async () => {
    const changes: [number, number, number][] = [
      // [kind, place in the sector, mask that is cleared]: FAT[1] of FAT16 and FAT32.
      [1, 4 * 512 + 3, 0x80],
      [1, 4 * 512 + 3, 0x40],
      [2, 32 * 512 + 7, 0x08],
      [2, 32 * 512 + 7, 0x04],
    ];
    const states: string[] = [];
    for (const [index, at, mask] of changes) {
      const path = join(folder, "changed.img");
      await copyFile(imageOf(index), path);
      const file = await open(path, "r+");
      const [byte] = (await file.read(Buffer.alloc(1), 0, 1, at)).buffer;
      await file.write(Uint8Array.of((byte ?? 0) & ~mask), 0, 1, at);
      await file.close();
      states.push(await withImage(path, async ({ facts }) => ("note" in facts.state ? facts.state.note : "clean")));
    }
    expect(states.map((state) => /in use|errors/.exec(state)?.[0])).toEqual(["in use", "errors", "in use", "errors"]);
  });
});

async function fill(source: string): Promise<void> {
  await mkdir(source);
  const file = (name: string, content: string | Uint8Array = name): Promise<void> =>
    writeFile(join(source, name), content);
  for (const name of ["A Long Name of a FILE.text", "README.TXT", "lower.txt", "UPPER.low", "größe ωμέγα.txt"]) {
    await file(name);
  }
  for (const name of [
    "日本語 テスト.dat",
    "no extension",
    ".hidden",
    "a".repeat(250),
    "+,;=[].x",
    "13 units here",
    "26 units in a name of two.",
  ]) {
    await file(name);
  }
  await file("empty", "");
  await utimes(join(source, "README.TXT"), 1_600_000_000, 1_600_000_001);
  await mkdir(join(source, "Many Entries"));
  for (let number = 0; number < 400; number++)
    await file(`Many Entries/Entry number ${number} of them`, "x".repeat(number));
  const levels = Array.from({ length: 20 }, (_, level) => `level ${level}`).join("/");
  await mkdir(join(source, levels), { recursive: true });
  await file(`${levels}/deepest`);
  await file("in pieces.bin", noise(200_003));
  await chmod(join(source, "README.TXT"), 0o644);
}

/** Fills the volume's first clusters with small files and takes every second away, so that what comes next lies in the gaps. */
async function fragment(image: string, source: string): Promise<void> {
  const small = join(source, "..", "small");
  await mkdir(small, { recursive: true });
  const names = Array.from({ length: 60 }, (_, index) => `filler ${index}`);
  for (const name of names) await writeFile(join(small, name), Buffer.alloc(2048, name));
  await mtool("mmd", image, "::/fillers");
  await mtool("mcopy", image, ...names.map((name) => join(small, name)), "::/fillers");
  await mtool("mdel", image, ...names.filter((_, index) => index % 2 === 0).map((name) => `::/fillers/${name}`));
  await forgetNextFree(image);
  await mtool("mcopy", image, "-m", join(source, "in pieces.bin"), "::");
  await mtool("mdeltree", image, "::/fillers");
}

/** FAT32 keeps where free clusters begin (FSInfo, its sector 1, byte 492): without it they are looked for from the start. */
async function forgetNextFree(image: string): Promise<void> {
  const file = await open(image, "r+");
  const sector = Buffer.alloc(512);
  await file.read(sector, 0, 512, 512);
  if (sector.toString("latin1", 0, 4) === "RRaA") await file.write(Buffer.alloc(4, 0xff), 0, 4, 512 + 492);
  await file.close();
}

/** What is copied after the file in pieces, which is there already. */
async function topOf(source: string): Promise<string[]> {
  const top = (await readdir(source)).filter((name) => name !== "in pieces.bin");
  return top.map((name) => join(source, name));
}

function noise(length: number): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, index) =>
    createHash("sha256").update(`${index}`).digest(),
  );
  return Buffer.concat(parts).subarray(0, length);
}
