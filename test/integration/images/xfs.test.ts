import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openFileSystem } from "../../../shared/images/file-systems/open-file-system.ts";
import { openXfs, probeXfs } from "../../../shared/images/file-systems/xfs/open-xfs.ts";
import type { FileSystem } from "../../../shared/ports/file-system.ts";
import { openFileDevice } from "../../support/images/file-device.ts";
import type { TreeView } from "../../support/images/tree-view.ts";
import { differences, kernelView, readerView } from "../../support/images/tree-view.ts";
import { imageFolder, makeImage, withMounted } from "../../support/images/mounted-image.ts";
import { everyKind, runPython } from "../../support/images/xfs-writers.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const { signal } = new AbortController();
const mebibyte = 2 ** 20;
let folder: string;

beforeAll(async () => {
  folder = await imageFolder("xfs");
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** An image made with these options and filled, and what the kernel shows of it. */
async function filledImage(args: readonly string[], manyCount: number): Promise<{ image: string; kernel: TreeView }> {
  const image = join(folder, `${args.join("")}.img`);
  await makeImage(image, 800 * mebibyte, "mkfs.xfs", ["-q", ...args]);
  await withMounted(image, (mounted) => runPython(everyKind(manyCount), mounted));
  return { image, kernel: await withMounted(image, (mounted) => kernelView(mounted), ["ro"]) };
}

async function withImage<T>(image: string, work: (fileSystem: FileSystem) => Promise<T>): Promise<T> {
  const device = await openFileDevice(image);
  try {
    return await work(await openXfs(device, signal));
  } finally {
    await device.close();
  }
}

describe.runIf(haveTools("mkfs.xfs", "xfs_db", "python3", "setfacl", "root"))("An XFS that was unmounted", () => {
  test.each([
    { args: ["-L", "the label"], manyCount: 20_000 },
    { args: ["-b", "size=1024", "-m", "rmapbt=1"], manyCount: 2000 },
    { args: ["-n", "size=8192", "-i", "nrext64=1,size=1024", "-s", "size=4096"], manyCount: 2000 },
    { args: ["-n", "size=65536", "-m", "reflink=0,finobt=0,bigtime=0", "-i", "sparse=0"], manyCount: 8000 },
    { args: ["-b", "size=2048", "-d", "agcount=7"], manyCount: 500 },
  ])("made with $args shows every file as the kernel does", async ({ args, manyCount }) => {
    const { image, kernel } = await filledImage(args, manyCount);
    const reader = await withImage(image, (fileSystem) => readerView(fileSystem, signal));
    expect(differences(kernel, reader)).toEqual([]);
    expect(reader.size).toBeGreaterThan(manyCount + 1000);
  });

  test("finds names in a directory of 20 000 by its index, and none that is not there", async () => {
    const image = join(folder, "-Lthe label.img");
    await withImage(image, async (fileSystem) => {
      for (const directory of ["small", "block", "leaf", "many", "holes"]) {
        const found = await fileSystem.lookup(fileSystem.root, directory, signal);
        const node = found?.node ?? 0;
        const listed = [];
        for await (const entry of fileSystem.list(node, signal)) listed.push(entry);
        const some = listed.filter((_, index) => index % 17 === 0);
        const foundAgain = [];
        for (const { name } of some) foundAgain.push(await fileSystem.lookup(node, name, signal));
        expect(foundAgain).toEqual(some);
        expect(some).not.toEqual([]);
        expect(await fileSystem.lookup(node, "nowhere", signal)).toBeUndefined();
      }
    });
  });

  test("says its facts, and where the bytes of a file lie", async () => {
    const image = join(folder, "-Lthe label.img");
    const uuid = (await run(tool("xfs_db"), ["-r", "-c", "uuid", image])).stdout.replace("UUID = ", "").trim();
    const device = await openFileDevice(image);
    expect(await probeXfs(device, signal)).toBe("xfs");
    const fileSystem = await openFileSystem("xfs", device, signal);
    const facts = { type: "xfs", label: "the label", uuid, sizeBytes: 800 * mebibyte, state: { kind: "clean" } };
    expect(fileSystem.facts).toEqual(facts);
    const node = (await fileSystem.lookup(fileSystem.root, "sparse", signal))?.node ?? 0;
    const extents = [];
    for await (const extent of fileSystem.extents(node, signal)) extents.push(extent);
    expect(extents.map(({ kind, offset, length }) => ({ kind, offset, length }))).toEqual([
      { kind: "device", offset: 0, length: 4096 },
      { kind: "hole", offset: 4096, length: 5 * 2 ** 30 - 4096 },
      { kind: "device", offset: 5 * 2 ** 30, length: 4096 },
      { kind: "hole", offset: 5 * 2 ** 30 + 4096, length: 4 * 2 ** 30 - 4096 },
    ]);
    const [, , mark] = extents;
    if (mark?.kind !== "device") throw new Error("The file has no bytes.");
    expect(Buffer.from(await device.read(mark.deviceOffset + 77, 4, signal)).toString()).toBe("MARK");
    await device.close();
  });

  test("reads any range of a file of thousands of extents", async () => {
    await withImage(join(folder, "-Lthe label.img"), async (fileSystem) => {
      const node = (await fileSystem.lookup(fileSystem.root, "fragmented", signal))?.node ?? 0;
      // 4096 bytes of i % 255 + 1 at each i * 8192, for i below 4000; zeros between.
      const whole = 3999 * 8192 + 4096;
      for (const offset of [0, 4095, 4096, 8191, 12_345_678, 3998 * 8192 + 4000, whole - 1, whole, whole + 1]) {
        const length = 20_000;
        const read = Buffer.alloc(Math.max(0, Math.min(length, whole - offset)), 0xff);
        for await (const piece of fileSystem.read(node, { offset, length }, signal)) {
          if (piece.kind === "data") read.set(piece.content, piece.offset - offset);
          else read.fill(0, piece.offset - offset, piece.offset - offset + piece.length);
        }
        const expected = Buffer.from(
          Array.from(read, (_, at) => {
            const block = Math.floor((offset + at) / 4096);
            return block % 2 === 0 ? ((block / 2) % 255) + 1 : 0;
          }),
        );
        expect(read.equals(expected)).toBe(true);
      }
    });
  });

  test("answers bad-input for what is no directory, no link, no file", async () => {
    await withImage(join(folder, "-Lthe label.img"), async (fileSystem) => {
      const file = (await fileSystem.lookup(fileSystem.root, "big", signal))?.node ?? 0;
      await expect(fileSystem.list(file, signal)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
        code: "bad-input",
      });
      await expect(fileSystem.readLink(file, signal)).rejects.toMatchObject({ code: "bad-input" });
      const range = { offset: 0, length: 1 };
      const read = fileSystem.read(fileSystem.root, range, signal)[Symbol.asyncIterator]();
      await expect(read.next()).rejects.toMatchObject({ code: "bad-input" });
    });
  });
});

/** This kernel mounts no version 4; mkfs.xfs can fill one by itself from a list. */
describe.runIf(haveTools("mkfs.xfs"))("An XFS of version 4", () => {
  test.each([
    { args: [], kind: "file", sameLetters: false },
    { args: ["-n", "ftype=0", "-b", "size=512", "-l", "version=1"], kind: undefined, sameLetters: false },
    { args: ["-n", "version=ci"], kind: "file", sameLetters: true },
  ])("made with $args shows what mkfs.xfs put there", async ({ args, kind, sameLetters }) => {
    const image = join(folder, "version4.img");
    const source = join(folder, "source");
    await writeFile(source, "hello\n".repeat(3000));
    const names = Array.from({ length: 4000 }, (_, index) => `entry-with-a-name-${index}`);
    const list = [
      `/stand\n0 0\nd--755 0 0\nfile -u-644 5 6 ${source}\nlink l--777 0 0 ${"t".repeat(900)}\ndevice c--640 0 0 5 300`,
      "many d--755 0 0",
      ...names.map((name) => `${name} ---644 0 0 /dev/null`),
      "$\nsmall d--755 0 0\na ---600 0 0 /dev/null\n$\n$\n",
    ];
    await writeFile(join(folder, "list"), list.join("\n"));
    await makeImage(image, 320 * mebibyte, "mkfs.xfs", ["-q", "-m", "crc=0", ...args, "-p", join(folder, "list")]);
    await withImage(image, async (fileSystem) => {
      const view = await readerView(fileSystem, signal);
      expect([...view.keys()].filter((path) => !path.startsWith("/many/")).toSorted()).toEqual([
        "",
        "/device",
        "/file",
        "/link",
        "/many",
        "/small",
        "/small/a",
      ]);
      expect(view.size).toBe(4007);
      expect(view.get("/file")).toMatch(/"mode":"4644","uid":5,"gid":6,"links":1,.*"size":18000/);
      expect(view.get("/device")).toContain(`"device":[5,300]`);
      expect(view.get("/link")).toContain(`"target":"${"t".repeat(900)}"`);
      const many = (await fileSystem.lookup(fileSystem.root, "many", signal))?.node ?? 0;
      expect(await fileSystem.lookup(many, "entry-with-a-name-3999", signal)).toMatchObject({ kind });
      const other = await fileSystem.lookup(many, "Entry-with-a-NAME-3999", signal);
      expect(other?.name).toBe(sameLetters ? "entry-with-a-name-3999" : undefined);
    });
  });
});
