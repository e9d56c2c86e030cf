/** Trees written by the kernel, compared node by node with what the kernel shows of them. */
import { execFile } from "node:child_process";
import { rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openExt } from "../../../shared/images/file-systems/ext/open-ext.ts";
import { probeExt } from "../../../shared/images/file-systems/ext/probe-ext.ts";
import type { FileSystem } from "../../../shared/ports/file-system.ts";
import { differences, kernelView, readerView } from "../../support/images/tree-view.ts";
import { openFileDevice } from "../../support/images/file-device.ts";
import { imageFolder, makeImage, withMounted } from "../../support/images/mounted-image.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const support = join(import.meta.dirname, "../../support/images");
const mebibyte = 1024 * 1024;

interface Made {
  readonly type: string;
  readonly mkfs: readonly string[];
  readonly entries: number;
  readonly options?: readonly string[];
}

const all = ["attributes", "late"];
const made: Record<string, Made> = {
  "the defaults of ext4, 20,000 files in one folder and a file of more than 4 GiB": {
    type: "ext4",
    mkfs: ["-b", "4096"],
    entries: 20_000,
    options: [...all, "large"],
  },
  "blocks of 1 KiB": { type: "ext4", mkfs: ["-b", "1024"], entries: 1000, options: all },
  inline_data: { type: "ext4", mkfs: ["-b", "4096", "-O", "inline_data"], entries: 120, options: all },
  "inline_data in inodes of 512 bytes": {
    type: "ext4",
    mkfs: ["-b", "1024", "-I", "512", "-O", "inline_data,metadata_csum_seed"],
    entries: 120,
    options: all,
  },
  "neither 64bit nor metadata_csum": {
    type: "ext4",
    mkfs: ["-O", "^64bit,^metadata_csum,uninit_bg"],
    entries: 120,
    options: all,
  },
  "no extents": { type: "ext4", mkfs: ["-O", "^64bit,^extent"], entries: 120, options: all },
  bigalloc: { type: "ext4", mkfs: ["-O", "bigalloc", "-C", "16384"], entries: 120, options: all },
  "meta_bg and many groups": {
    type: "ext4",
    mkfs: ["-b", "1024", "-g", "1024", "-O", "meta_bg,^resize_inode,sparse_super2,orphan_file"],
    entries: 120,
    options: all,
  },
  "values of attributes in inodes": {
    type: "ext4",
    mkfs: ["-O", "ea_inode,large_dir,mmp"],
    entries: 120,
    options: [...all, "huge-attribute"],
  },
  "the defaults of ext3": { type: "ext3", mkfs: [], entries: 120, options: all },
  "the defaults of ext2": { type: "ext2", mkfs: [], entries: 120, options: all },
  "ext2 with inodes of 128 bytes": {
    type: "ext2",
    mkfs: ["-b", "1024", "-I", "128"],
    entries: 120,
    options: ["attributes", "large"],
  },
  "ext2 of revision 0": { type: "ext2", mkfs: ["-r", "0"], entries: 120, options: ["attributes"] },
};

const mayRun = haveTools("root", "mkfs.ext4", "mkfs.ext3", "mkfs.ext2", "python3", "setfacl", "getfattr", "mount");

describe.runIf(mayRun)("A file system made by mkfs and filled by the kernel", () => {
  let work = "";
  beforeAll(async () => {
    work = await imageFolder("ext");
  });
  afterAll(async () => {
    await rm(work, { recursive: true });
  });

  async function withFileSystem<T>(image: string, use: (fileSystem: FileSystem) => Promise<T>): Promise<T> {
    const device = await openFileDevice(image);
    try {
      return await use(await openExt(device, signal));
    } finally {
      await device.close();
    }
  }

  test.each(Object.entries(made))(
    "is read as the kernel reads it: %s",
    async (_, { type, mkfs, entries, options = [] }) => {
      const image = join(work, "image");
      await makeImage(image, 96 * mebibyte, `mkfs.${type}`, ["-q", "-F", "-L", "ünï", ...mkfs]);
      await withMounted(image, async (folder) => {
        await run(tool("python3"), [join(support, "fill-tree.py"), folder, String(entries), ...options]);
      });
      const kernel = await withMounted(image, (folder) => kernelView(folder), ["ro"]);
      const reader = await withFileSystem(image, async (fileSystem) => {
        expect(fileSystem.facts).toMatchObject({ type, label: "ünï", state: { kind: "clean" } });
        return readerView(fileSystem, signal);
      });
      expect(differences(kernel, reader)).toEqual([]);
      expect(reader.size).toBeGreaterThan(entries + 100);
      await rm(image);
    },
  );

  test("with blocks of 64 KiB, which this kernel cannot mount, is read as the folder that mkfs filled it from", async () => {
    const [image, folder] = [join(work, "image64k"), join(work, "folder")];
    await run("mkdir", [folder]);
    await run(tool("python3"), [join(support, "fill-tree.py"), folder, "900", "late"]);
    await run("rm", [join(folder, "socket")]);
    await makeImage(image, 256 * mebibyte, "mkfs.ext4", ["-q", "-F", "-b", "65536", "-d", folder]);
    // Numbers of inodes and times of their changes are its own, as is what mkfs adds.
    const without = ["node", "links", "modified", "changed", "created"] as const;
    const reader = await withFileSystem(image, (fileSystem) => readerView(fileSystem, signal, { without }));
    const copied = new Map([...reader].filter(([path]) => path !== "/lost+found"));
    expect(differences(await kernelView(folder, { without }), copied)).toEqual([]);
    await rm(image);
  });

  test("is the same to lookups, ranges and extents as to listings and whole files", async () => {
    const image = join(work, "image");
    await makeImage(image, 64 * mebibyte, "mkfs.ext4", ["-q", "-F"]);
    await withMounted(image, async (folder) => {
      await run(tool("python3"), [join(support, "fill-tree.py"), folder, "2000", "attributes"]);
    });
    await withFileSystem(image, async (fileSystem) => {
      const many = await fileSystem.lookup(fileSystem.root, "many", signal);
      const entry = await fileSystem.lookup(many?.node ?? 0, "entry-001950-with-a-name", signal);
      expect(entry).toMatchObject({ kind: "file" });
      expect(await fileSystem.lookup(many?.node ?? 0, "entry-002000-with-a-name", signal)).toBeUndefined();
      expect(await fileSystem.lookup(fileSystem.root, "latin-\\xfc\\xff", signal)).toBeDefined();
      for (const name of ["", ".", "..", "many/entry-001950-with-a-name"]) {
        expect(await fileSystem.lookup(fileSystem.root, name, signal)).toBeUndefined();
      }

      const sparse = await fileSystem.lookup(fileSystem.root, "sparse", signal);
      const read = async (offset: number, length: number): Promise<string> => {
        const pieces = await Array.fromAsync(fileSystem.read(sparse?.node ?? 0, { offset, length }, signal));
        return pieces
          .map((piece) => (piece.kind === "zero" ? "0".repeat(piece.length) : Buffer.from(piece.content)))
          .join("");
      };
      expect(await read((1 << 20) + 77, 6)).toBe("MARK-1");
      expect((await read((1 << 26) + 6, 1000)).startsWith("ARK-67108869-")).toBe(true);
      expect(await read(1 << 28, 1000)).toBe("");
      const kinds = (await Array.fromAsync(fileSystem.extents(sparse?.node ?? 0, signal))).map(({ kind }) => kind);
      expect(kinds).toEqual(["device", "hole", "device", "hole", "device"]);

      const root = fileSystem.root;
      await expect(fileSystem.readLink(root, signal)).rejects.toMatchObject({ code: "bad-input" });
      await expect(Array.fromAsync(fileSystem.list(sparse?.node ?? 0, signal))).rejects.toMatchObject({
        code: "bad-input",
      });
      await expect(fileSystem.stat(10 ** 9, signal)).rejects.toMatchObject({ code: "bad-input" });
      await expect(fileSystem.stat(8, signal)).rejects.toMatchObject({ code: "image-corrupt" });
    });
    await rm(image);
  });

  test("shows what fscrypt encrypted, and says that it cannot read it", async () => {
    const image = join(work, "image");
    await makeImage(image, 32 * mebibyte, "mkfs.ext4", ["-q", "-F", "-O", "encrypt"]);
    const nodes = await withMounted(image, async (folder) => {
      await run(tool("python3"), [join(support, "encrypt-folder.py"), folder, "locked"]);
      const numbers = await run("stat", ["-c", "%i", join(folder, "locked/secret"), join(folder, "locked/link")]);
      return numbers.stdout.trim().split("\n").map(Number);
    });
    await withFileSystem(image, async (fileSystem) => {
      const locked = await fileSystem.lookup(fileSystem.root, "locked", signal);
      expect(locked?.kind).toBe("directory");
      const [secret = 0, link = 0] = nodes;
      expect(await fileSystem.stat(secret, signal)).toMatchObject({ kind: "file", sizeBytes: 6 });
      expect([...(await fileSystem.attributes(secret, signal)).keys()]).toEqual([]);
      const notSupported = { code: "not-supported" };
      await expect(Array.fromAsync(fileSystem.list(locked?.node ?? 0, signal))).rejects.toMatchObject(notSupported);
      const content = Array.fromAsync(fileSystem.read(secret, { offset: 0, length: 6 }, signal));
      await expect(content).rejects.toMatchObject(notSupported);
      await expect(fileSystem.readLink(link, signal)).rejects.toMatchObject(notSupported);
    });
    await rm(image);
  });

  test("is named by its type from its first bytes, and a journal's own device is none", async () => {
    const image = join(work, "image");
    const probe = async (): Promise<string | undefined> => {
      const device = await openFileDevice(image);
      const type = await probeExt(device, signal);
      await device.close();
      return type;
    };
    for (const type of ["ext2", "ext3", "ext4"]) {
      await makeImage(image, 16 * mebibyte, `mkfs.${type}`, ["-q", "-F"]);
      expect(await probe()).toBe(type);
    }
    await makeImage(image, 16 * mebibyte, "mkfs.ext4", ["-q", "-F", "-O", "journal_dev"]);
    expect(await probe()).toBeUndefined();
    await writeFile(image, "");
    await truncate(image, mebibyte);
    expect(await probe()).toBeUndefined();
  });
});
