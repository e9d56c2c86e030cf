/** The NTFS reader against ntfs-3g: what it makes must be read as it shows it. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, link, lstat, mkdir, mkdtemp, open, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FileSystem } from "../../../shared/ports/file-system.ts";
import { openFileSystem } from "../../../shared/images/file-systems/open-file-system.ts";
import { probeNtfs } from "../../../shared/images/file-systems/ntfs/boot-sector.ts";
import type { FileDevice } from "../../support/images/file-device.ts";
import { openFileDevice } from "../../support/images/file-device.ts";
import type { TreeView } from "../../support/images/tree-view.ts";
import { contentOnly, differences, kernelView, readerView } from "../../support/images/tree-view.ts";
import { makeImage, withMounted } from "../../support/images/mounted-image.ts";
import { attributeAt, patchRecord, restartPage } from "../../support/images/ntfs-image.ts";
import { packedFormats, packedStream, packedText } from "../../support/images/packed-text.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const mib = 1024 * 1024;
const mkfsArgs = ["-F", "-f", "-q"];

describe.runIf(haveTools("root", "mkfs.ntfs", "ntfs-3g", "ntfsinfo", "setfattr"))(
  "An NTFS volume made by ntfs-3g",
  () => {
    let folder = "";
    let image = "";
    let special = "";
    let expected: TreeView = new Map();
    let times = { modifiedNs: 0n, links: 0 };

    const withImage = async <T>(
      path: string,
      work: (fileSystem: FileSystem, device: FileDevice) => Promise<T>,
    ): Promise<T> => {
      const device = await openFileDevice(path);
      try {
        return await work(await openFileSystem("ntfs", device, signal), device);
      } finally {
        await device.close();
      }
    };
    const nodeAt = async (fileSystem: FileSystem, path: string): Promise<number> => {
      let node = fileSystem.root;
      for (const name of path.split("/")) {
        const entry = await fileSystem.lookup(node, name, signal);
        if (entry === undefined) throw new Error(`${name} of ${path} is missing`);
        node = entry.node;
      }
      return node;
    };
    const recordOf = (node: number): number => node % 2 ** 32;
    const changedCopy = async (change: (path: string) => Promise<void>): Promise<string> => {
      const path = join(folder, "changed.img");
      await copyFile(image, path);
      await change(path);
      return path;
    };

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "farside-ntfs-"));
      image = join(folder, "tree.img");
      await makeImage(image, 96 * mib, "mkfs.ntfs", [...mkfsArgs, "-L", "Täst 🦆"]);
      await withMounted(image, fill, ["compression"]);
      special = join(folder, "special.img");
      await makeImage(special, 32 * mib, "mkfs.ntfs", mkfsArgs);
      await withMounted(special, fillSpecial);
      await withMounted(
        image,
        async (mounted) => {
          expected = await kernelView(mounted, contentOnly);
          const stat = await lstat(join(mounted, "timed"), { bigint: true });
          times = { modifiedNs: stat.mtimeNs, links: Number(stat.nlink) };
        },
        ["ro"],
      );
    }, 120_000);

    afterAll(async () => rm(folder, { recursive: true, force: true }));

    test("is shown with every name, size, link and byte that ntfs-3g shows", async () => {
      const found = await withImage(image, (fileSystem) => readerView(fileSystem, signal, contentOnly));
      expect(differences(expected, found)).toEqual([]);
      expect(found.size).toBeGreaterThan(3_050);
    });

    test("was filled with what is hard to read: attribute lists, compression, deep trees", async () => {
      const fragmented = await run(tool("ntfsinfo"), ["-f", "-F", "/fragments", image], { maxBuffer: 64 * mib });
      expect(fragmented.stdout).toContain("$ATTRIBUTE_LIST");
      await withImage(image, async (fileSystem) => {
        const kinds = async (path: string): Promise<Set<string>> =>
          new Set(
            (await Array.fromAsync(fileSystem.extents(await nodeAt(fileSystem, path), signal))).map(({ kind }) => kind),
          );
        expect(await kinds("compressed/text")).toContain("encoded");
        expect(await kinds("compressed/random")).toContain("device");
        expect(await kinds("compressed/holes")).toContain("hole");
        expect(await kinds("tiny")).toEqual(new Set(["encoded"]));
        expect(
          (await Array.fromAsync(fileSystem.extents(await nodeAt(fileSystem, "fragments"), signal))).length,
        ).toBeGreaterThan(2_000);
      });
    });

    test("says its label, its serial number as blkid does, and that it is clean", async () => {
      const blkid = await run(tool("blkid"), ["-p", "-o", "value", "-s", "UUID", image]);
      await withImage(image, async ({ facts }, device) => {
        expect(facts).toMatchObject({
          type: "ntfs",
          label: "Täst 🦆",
          uuid: blkid.stdout.trim(),
          state: { kind: "clean" },
        });
        expect(await probeNtfs(device, signal)).toBe("ntfs");
      });
    });

    test("finds names in any letter case, short names too, and nothing that is not there", async () => {
      await withImage(image, async (fileSystem) => {
        const many = await nodeAt(fileSystem, "MANY");
        for (let number = 0; number < 3_000; number += 331) {
          const name = manyName(number);
          expect((await fileSystem.lookup(many, name.toUpperCase(), signal))?.name).toBe(name);
        }
        expect((await fileSystem.lookup(fileSystem.root, "ГРЕЧЕСКИЙ Ωμέγα", signal))?.name).toBe("греческий ΩΜΈΓΑ");
        expect(await fileSystem.lookup(many, "no such file", signal)).toBeUndefined();
        expect((await fileSystem.lookup(fileSystem.root, "SHORTN~1.TXT", signal))?.node).toBe(
          await nodeAt(fileSystem, "short name of a long one.txt"),
        );
        expect(await fileSystem.lookup(fileSystem.root, "$MFT", signal)).toBeUndefined();
      });
    });

    test("names that differ in letter case only are told apart", async () => {
      await withImage(image, async (fileSystem) => {
        for (const name of ["case", "CASE", "Case"])
          expect((await fileSystem.lookup(fileSystem.root, name, signal))?.name).toBe(name);
      });
    });

    test("keeps times to 100 ns, counts hard links, and has no write bits on read-only files", async () => {
      await withImage(image, async (fileSystem) => {
        const timed = await fileSystem.stat(await nodeAt(fileSystem, "timed"), signal);
        expect(timed).toMatchObject({ ...times, links: 2, mode: 0o644 });
        expect(timed.node).toBe(await nodeAt(fileSystem, "other name of timed"));
        expect((await fileSystem.stat(await nodeAt(fileSystem, "read-only"), signal)).mode).toBe(0o444);
      });
    });

    test("shows alternate streams as attributes, those of up to 64 KiB", async () => {
      await withImage(image, async (fileSystem) => {
        const attributes = await fileSystem.attributes(await nodeAt(fileSystem, "timed"), signal);
        expect([...attributes.keys()]).toEqual(["user.stream.Zone.Identifier"]);
        expect(Buffer.from(attributes.get("user.stream.Zone.Identifier") ?? []).toString()).toBe("[ZoneTransfer]");
        expect((await fileSystem.attributes(await nodeAt(fileSystem, "tiny"), signal)).size).toBe(0);
      });
    });

    test("shows the links of Windows with what mklink was given, and refuses what is stored in another way", async () => {
      await withImage(special, async (fileSystem) => {
        const target = async (path: string): Promise<string> =>
          fileSystem.readLink(await nodeAt(fileSystem, path), signal);
        expect(await target("absolute")).toBe("C:\\Users\\Ünï");
        expect(await target("relative")).toBe("..\\tiny");
        expect(await target("junction")).toBe("D:\\data");
        expect(await target("share")).toBe("\\\\server\\share");
        expect(await target("volume")).toBe("\\\\?\\Volume{0}\\");
        expect(await target("wsl")).toBe("/usr/bin/größe");
        const compressed = await nodeAt(fileSystem, "system-compressed");
        expect((await fileSystem.stat(compressed, signal)).kind).toBe("file");
        await expect(
          Array.fromAsync(fileSystem.read(compressed, { offset: 0, length: 10 }, signal)),
        ).rejects.toMatchObject({
          code: "not-supported",
          message: expect.stringContaining("WOF"),
        });
      });
    });

    test("reads files in system compression", async () => {
      await withImage(special, async (fileSystem) => {
        for (const format of packedFormats) {
          const node = await nodeAt(fileSystem, `packed ${format}`);
          expect(await fileSystem.stat(node, signal)).toMatchObject({ kind: "file", sizeBytes: packedText().length });
          const pieces = await Array.fromAsync(fileSystem.read(node, { offset: 0, length: mib }, signal));
          const parts = pieces.map((piece) => (piece.kind === "data" ? piece.content : Buffer.alloc(0)));
          expect(Buffer.concat(parts).equals(packedText())).toBe(true);
          expect(await fileSystem.attributes(node, signal)).toEqual(new Map());
        }
      });
    });

    test("refuses the content of an encrypted file", async () => {
      const node = await withImage(image, (fileSystem) => nodeAt(fileSystem, "tiny"));
      const path = await changedCopy((copy) =>
        patchRecord(copy, recordOf(node), (record) => record.writeUInt16LE(0x4000, attributeAt(record, 0x80) + 12)),
      );
      await withImage(path, async (fileSystem) => {
        await expect(Array.fromAsync(fileSystem.read(node, { offset: 0, length: 10 }, signal))).rejects.toMatchObject({
          code: "not-supported",
        });
      });
    });

    test("is dirty where its flag says so", async () => {
      const path = await changedCopy((copy) =>
        patchRecord(copy, 3, (record) => {
          const at = attributeAt(record, 0x70);
          record.writeUInt16LE(1, at + record.readUInt16LE(at + 20) + 10);
        }),
      );
      await withImage(path, async ({ facts }) =>
        expect(facts.state).toEqual({ kind: "dirty", note: expect.stringContaining("dirty flag") }),
      );
    });

    test("is dirty where its log was not closed, by the newer of its restart pages", async () => {
      const states: string[] = [];
      for (const pages of [
        [restartPage(100n, true), restartPage(90n, false)],
        [restartPage(100n, true), restartPage(200n, false)],
        [restartPage(100n, false), Buffer.alloc(4096, 0xff)],
        [Buffer.alloc(4096, 7), restartPage(5n, true)],
        [Buffer.alloc(4096), Buffer.alloc(4096)],
      ]) {
        const path = await changedCopy((copy) => writeLog(copy, Buffer.concat(pages)));
        states.push(
          await withImage(path, async ({ facts }) => (facts.state.kind === "clean" ? "clean" : facts.state.note)),
        );
      }
      expect(states).toEqual([
        expect.stringMatching(/\$LogFile are not replayed: .* number 100/),
        "clean",
        "clean",
        expect.stringMatching(/number 5/),
        expect.stringMatching(/neither of its restart pages/),
      ]);
    });

    test("refuses a record that is torn, marked bad, or used by another file since, and shows all others", async () => {
      const node = await withImage(image, (fileSystem) => nodeAt(fileSystem, "tiny"));
      for (const change of [
        (record: Buffer): void => void record.write("BAAD", 0, "latin1"),
        (record: Buffer): void => void record.writeUInt16LE(record.readUInt16LE(16) + 1, 16),
        (record: Buffer): void => void record.writeUInt16LE(0, 22),
      ]) {
        const path = await changedCopy((copy) => patchRecord(copy, recordOf(node), change));
        await withImage(path, async (fileSystem) => {
          await expect(fileSystem.stat(node, signal)).rejects.toMatchObject({ code: "image-corrupt" });
          expect((await fileSystem.stat(await nodeAt(fileSystem, "timed"), signal)).kind).toBe("file");
        });
      }
    });

    test.for([
      ["-c", "512"],
      ["-c", "65536"],
      ["-c", "262144"],
      ["-s", "4096", "-c", "4096"],
    ])("has sectors and clusters of any size (%s)", async (args) => {
      const path = join(folder, "geometry.img");
      await makeImage(path, 64 * mib, "mkfs.ntfs", [...mkfsArgs, ...args]);
      await withMounted(path, async (mounted) => {
        await mkdir(join(mounted, "folder"));
        for (let number = 0; number < 200; number++) await writeFile(join(mounted, "folder", manyName(number)), "x");
        await writeFile(join(mounted, "long"), noise(500_001));
      });
      const shown = await withMounted(path, (mounted) => kernelView(mounted, contentOnly), ["ro"]);
      const found = await withImage(path, (fileSystem) => readerView(fileSystem, signal, contentOnly));
      expect(differences(shown, found)).toEqual([]);
    });

    test("is read where the master file table itself is in so many pieces that it needs further records", async () => {
      const path = join(folder, "full.img");
      await makeImage(path, 8 * mib, "mkfs.ntfs", [...mkfsArgs, "-c", "512"]);
      await withMounted(path, async (mounted) => {
        // Small gaps are all the room that is left for the table to grow in.
        const piece = noise(1024);
        const filler = (number: number): string => join(mounted, `filler ${number}`);
        const fillers = await createUntilFull(filler, piece);
        for (let number = 0; number < fillers; number += 2) await rm(filler(number));
        await createUntilFull((number) => join(mounted, `tiny ${number}`), piece.subarray(0, 9));
      });
      const table = await run(tool("ntfsinfo"), ["-f", "-F", "/$MFT", path], { maxBuffer: 64 * mib });
      expect(table.stdout).toContain("$ATTRIBUTE_LIST");
      const shown = await withMounted(path, (mounted) => kernelView(mounted, contentOnly), ["ro"]);
      const found = await withImage(path, (fileSystem) => readerView(fileSystem, signal, contentOnly));
      expect(differences(shown, found)).toEqual([]);
    });

    test("of several GiB of holes is read without reading them", async () => {
      await withImage(special, async (fileSystem, device) => {
        const node = await nodeAt(fileSystem, "sparse");
        expect((await fileSystem.stat(node, signal)).sizeBytes).toBe(6 * 1024 * mib + 1);
        const before = device.counts.bytes;
        let data = 0;
        for await (const piece of fileSystem.read(node, { offset: 0, length: 2 ** 50 }, signal)) {
          if (piece.kind === "data") data += piece.length;
        }
        expect(data).toBeLessThan(mib);
        expect(device.counts.bytes - before).toBeLessThan(mib);
        const [piece] = await Array.fromAsync(
          fileSystem.read(node, { offset: 4 * 1024 * mib + 77, length: 4 }, signal),
        );
        expect(piece?.kind === "data" && Buffer.from(piece.content).toString()).toBe("MARK");
      });
    });
  },
);

function manyName(number: number): string {
  return `datei ${number} grün 日本語 🦆.txt`;
}

async function fill(root: string): Promise<void> {
  const file = (path: string, content: string | Uint8Array = path): Promise<void> =>
    writeFile(join(root, path), content);
  await file("tiny", "tiny");
  await file("empty", "");
  await file("греческий ΩΜΈΓΑ");
  for (const name of ["case", "CASE", "Case", "combining é", "line\nbreak", "back\\slash", "x".repeat(255)])
    await file(name);
  await writeFile(Buffer.concat([Buffer.from(`${root}/lone surrogate `), Buffer.from([0xed, 0xa0, 0xbd])]), "lone");
  await mkdir(join(root, "many"));
  for (let number = 0; number < 3_000; number++) await file(join("many", manyName(number)), "x".repeat(number % 1500));
  await mkdir(join(root, Array.from({ length: 40 }, (_, level) => `level ${level}`).join("/")), { recursive: true });
  await file(`${Array.from({ length: 40 }, (_, level) => `level ${level}`).join("/")}/deepest`);

  await mkdir(join(root, "compressed"));
  await setAttribute(root, "compressed", "system.ntfs_attrib_be", "00000800");
  const text = Array.from({ length: 40_000 }, (_, line) => `line ${line * line}\n`).join("");
  await file("compressed/text", text);
  await file("compressed/random", noise(300_000));
  await file(
    "compressed/mixed",
    Buffer.concat([Buffer.from(text), noise(200_000), Buffer.alloc(100_000), Buffer.from(text)]),
  );
  await writeAt(root, "compressed/holes", 2 * mib, 4, (index) => Buffer.from(text.slice(0, 70_000 + index)));

  // Every second cluster, then the others: each is a run of its own.
  await writeAt(root, "fragments", 8192, 2_500, (index) => noise(4096, index));
  const fragments = await open(join(root, "fragments"), "r+");
  for (let index = 0; index < 1_000; index++) await fragments.write(noise(4096, -index), 0, 4096, index * 8192 + 4096);
  await fragments.close();

  await file("timed", "timed");
  await link(join(root, "timed"), join(root, "other name of timed"));
  await utimes(join(root, "timed"), 1_600_000_000.1234567, 1_700_000_000.7654321);
  await run(tool("setfattr"), ["-n", "user.Zone.Identifier", "-v", "[ZoneTransfer]", join(root, "timed")]);
  await file("read-only");
  await setAttribute(root, "read-only", "system.ntfs_attrib_be", "00000021");
  await file("short name of a long one.txt");
  await setAttribute(
    root,
    "short name of a long one.txt",
    "system.ntfs_dos_name",
    Buffer.from("SHORTN~1.TXT").toString("hex"),
  );
  await symlink("many/../tiny", join(root, "link"));
  await symlink("/absolute/größe", join(root, "absolute link"));
}

/** What ntfs-3g does not show as Windows does, and what it reads too slowly to compare. */
async function fillSpecial(root: string): Promise<void> {
  for (const [name, hex] of reparsePoints()) {
    if (name === "junction" || name === "volume") await mkdir(join(root, name));
    else await writeFile(join(root, name), "");
    await setAttribute(root, name, "system.ntfs_reparse_data", hex);
  }
  for (const [number, format] of packedFormats.entries()) {
    const name = `packed ${format}`;
    const file = await open(join(root, name), "w");
    await file.truncate(packedText().length);
    await file.close();
    await setAttribute(root, name, "user.WofCompressedData", packedStream(format).toString("hex"));
    await setAttribute(
      root,
      name,
      "system.ntfs_reparse_data",
      `17000080100000000100000002000000010000000${number}000000`,
    );
  }
  const file = await open(join(root, "sparse"), "w");
  await file.write("start", 0);
  await file.write("MARK", 4 * 1024 * mib + 77);
  await file.truncate(6 * 1024 * mib + 1);
  await file.close();
}

async function setAttribute(root: string, path: string, name: string, hex: string): Promise<void> {
  await run(tool("setfattr"), ["-h", "-n", name, "-v", `0x${hex}`, join(root, path)]);
}

/** How many files there was room for; the last may be empty. */
async function createUntilFull(path: (number: number) => string, content: Uint8Array): Promise<number> {
  for (let number = 0; ; number++) {
    try {
      await writeFile(path(number), content);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOSPC") return number;
      throw error;
    }
  }
}

/** Bytes that do not compress, the same each time. */
function noise(length: number, seed = 0): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, index) =>
    createHash("sha256").update(`${seed} ${index}`).digest(),
  );
  return Buffer.concat(parts).subarray(0, length);
}

/** `count` pieces, each `stepBytes` after the one before. */
async function writeAt(
  root: string,
  path: string,
  stepBytes: number,
  count: number,
  piece: (index: number) => Buffer,
): Promise<void> {
  const file = await open(join(root, path), "w");
  for (let index = 0; index < count; index++) {
    const bytes = piece(index);
    await file.write(bytes, 0, bytes.length, index * stepBytes);
  }
  await file.close();
}

/** Name and value, in hexadecimal digits, as [MS-FSCC] 2.1.2 lays them out. */
function reparsePoints(): [string, string][] {
  const value = (tag: number, data: Buffer): string => {
    const head = Buffer.alloc(8);
    head.writeUInt32LE(tag, 0);
    head.writeUInt16LE(data.length, 4);
    return Buffer.concat([head, data]).toString("hex");
  };
  const names = (substitute: string, flags: number | undefined): Buffer => {
    const [text, print] = [Buffer.from(substitute, "utf16le"), Buffer.from("shown", "utf16le")];
    const head = Buffer.alloc(flags === undefined ? 8 : 12);
    head.writeUInt16LE(print.length, 0);
    head.writeUInt16LE(text.length, 2);
    head.writeUInt16LE(0, 4);
    head.writeUInt16LE(print.length, 6);
    if (flags !== undefined) head.writeUInt32LE(flags, 8);
    return Buffer.concat([head, print, text]);
  };
  const [link, mountPoint] = [0xa000000c, 0xa0000003];
  return [
    ["absolute", value(link, names("\\??\\C:\\Users\\Ünï", 0))],
    ["relative", value(link, names("..\\tiny", 1))],
    ["share", value(link, names("\\??\\UNC\\server\\share", 0))],
    ["junction", value(mountPoint, names("\\??\\D:\\data", undefined))],
    ["volume", value(mountPoint, names("\\??\\Volume{0}\\", undefined))],
    ["wsl", value(0xa000001d, Buffer.concat([Buffer.from([2, 0, 0, 0]), Buffer.from("/usr/bin/größe")]))],
    ["system-compressed", value(0x80000017, Buffer.from("01000000020000000100000009000000", "hex"))],
  ];
}

/** Into $LogFile, whose first bytes lie where its record says. */
async function writeLog(image: string, pages: Buffer): Promise<void> {
  const device = await openFileDevice(image);
  const log = 2 * 2 ** 32 + 2;
  const [extent] = await Array.fromAsync((await openFileSystem("ntfs", device, signal)).extents(log, signal));
  await device.close();
  if (extent?.kind !== "device") throw new Error("$LogFile has no clusters.");
  const file = await open(image, "r+");
  await file.write(pages, 0, pages.length, extent.deviceOffset);
  await file.close();
}
