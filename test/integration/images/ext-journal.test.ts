/** File systems whose power failed: replayed in memory, compared with what the kernel replays. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crc32cRaw } from "../../../shared/images/crc32c.ts";
import { hasCode } from "../../../shared/core/errors.ts";
import { extFileSystem, openExt } from "../../../shared/images/file-systems/ext/open-ext.ts";
import { openVolume } from "../../../shared/images/file-systems/ext/open-volume.ts";
import type { FileSystem, NodeId } from "../../../shared/ports/file-system.ts";
import type { FileDevice } from "../../support/images/file-device.ts";
import { openFileDevice } from "../../support/images/file-device.ts";
import { imageFolder, makeImage, withCrash, withMounted } from "../../support/images/mounted-image.ts";
import { differences, kernelView, readerView } from "../../support/images/tree-view.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const writer = join(import.meta.dirname, "../../support/images/write-and-sync.py");
const reuser = join(import.meta.dirname, "../../support/images/reuse-blocks.py");
const mebibyte = 1024 * 1024;

interface Crashed {
  readonly mkfs: readonly [string, ...string[]];
  readonly mount?: readonly string[];
  /** That are written and made durable; 50 where it does not say. */
  readonly files?: number;
}

interface CrashedImage {
  readonly crashed: string;
  /** The writer's list of what it was promised. */
  readonly done: string;
}

const crashes: Record<string, Crashed> = {
  "the defaults of ext4": { mkfs: ["mkfs.ext4", "-b", "4096"] },
  "blocks of 1 KiB, and content in the journal too": { mkfs: ["mkfs.ext4", "-b", "1024"], mount: ["data=journal"] },
  "a small journal that went round, orphan_file": {
    mkfs: ["mkfs.ext4", "-b", "1024", "-J", "size=1", "-O", "orphan_file"],
    files: 90,
  },
  "sums of whole transactions": { mkfs: ["mkfs.ext4", "-O", "^metadata_csum"], mount: ["journal_checksum"] },
  "32-bit tags": { mkfs: ["mkfs.ext4", "-O", "^metadata_csum,^64bit"] },
  "32-bit tags with sums": { mkfs: ["mkfs.ext4", "-O", "^64bit"] },
  ext3: { mkfs: ["mkfs.ext3", "-J", "size=4"], mount: ["data=journal"] },
  inline_data: { mkfs: ["mkfs.ext4", "-O", "inline_data"] },
};

async function hashOf(fileSystem: FileSystem, node: NodeId): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of fileSystem.read(node, { offset: 0, length: Number.MAX_SAFE_INTEGER }, signal)) {
    hash.update(piece.kind === "data" ? piece.content : Buffer.alloc(piece.length));
  }
  return hash.digest("hex");
}

async function find(fileSystem: FileSystem, path: string): Promise<NodeId | undefined> {
  let node: NodeId | undefined = fileSystem.root;
  for (const name of path.split("/")) {
    if (node !== undefined) node = (await fileSystem.lookup(node, name, signal))?.node;
  }
  return node;
}

/** Those lines of DONE that do not hold, by name. */
async function broken(fileSystem: FileSystem, done: string): Promise<string[]> {
  const promised = new Map(
    done
      .trim()
      .split("\n")
      .map((line) => line.split(" ") as [string, string]),
  );
  const wrong: string[] = [];
  for (const [path, sum] of promised) {
    try {
      const node = await find(fileSystem, path);
      const found = node === undefined ? "gone" : await hashOf(fileSystem, node);
      if (found !== sum) wrong.push(path);
    } catch (error) {
      if (!hasCode(error, "image-corrupt", "bad-input")) throw error;
      wrong.push(path);
    }
  }
  return wrong;
}

const mayRun = haveTools("root", "mkfs.ext4", "mkfs.ext3", "e2fsck", "debugfs", "python3", "getfattr", "mount");

describe.runIf(mayRun)("A file system whose power failed", () => {
  let work = "";
  let devices: FileDevice[] = [];
  const images = new Map<string, Promise<CrashedImage>>();
  beforeAll(async () => {
    work = await imageFolder("ext-journal");
  });
  afterAll(async () => {
    await Promise.all(devices.map((device) => device.close()));
    devices = [];
    await rm(work, { recursive: true });
  });

  async function device(path: string): Promise<FileDevice> {
    const opened = await openFileDevice(path);
    devices.push(opened);
    return opened;
  }

  /** The crashed image, and what its writer was promised by fsync. Each kind is made once. */
  function crash(how: Crashed): Promise<CrashedImage> {
    const name = JSON.stringify(how);
    const known = images.get(name) ?? makeCrashed(how, join(work, `crashed${images.size}`));
    images.set(name, known);
    return known;
  }

  async function makeCrashed(
    { mkfs: [mkfs, ...args], mount = [], files = 50 }: Crashed,
    crashed: string,
  ): Promise<CrashedImage> {
    const image = `${crashed}-image`;
    await makeImage(image, 64 * mebibyte, mkfs, ["-q", "-F", ...args]);
    const fill = async (folder: string): Promise<string> => {
      await run(tool("python3"), [writer, folder, String(files)]);
      return (await run("cat", [join(folder, "DONE")])).stdout;
    };
    return { crashed, done: await withCrash(image, crashed, fill, mount) };
  }

  test.each(Object.entries(crashes))("shows all that was made durable, as the kernel does: %s", async (_, how) => {
    const { crashed, done } = await crash(how);
    const fileSystem = await openExt(await device(crashed), signal);
    expect(fileSystem.facts.state).toMatchObject({
      kind: "replayed",
      note: expect.stringMatching(/\d+ transactions/) as string,
    });
    expect(await broken(fileSystem, done)).toEqual([]);

    // The kernel replays a copy; what it then shows, and what e2fsck then says, is the judge.
    const copy = join(work, "copy");
    await copyFile(crashed, copy);
    const kernel = await withMounted(copy, (folder) => kernelView(folder));
    expect(differences(kernel, await readerView(fileSystem, signal))).toEqual([]);
    expect([...kernel.values()].filter((line) => line.startsWith('{"kind":"file"')).length).toBeGreaterThan(35);
    await run(tool("e2fsck"), ["-fn", copy]);
  });

  test("misses most of it without the replay", async () => {
    const { crashed, done } = await crash({ mkfs: ["mkfs.ext4", "-b", "4096"] });
    const fileSystem = extFileSystem(await openVolume(await device(crashed), { replay: false }, signal));
    expect(fileSystem.facts.state.kind).toBe("dirty");
    expect((await broken(fileSystem, done)).length).toBeGreaterThan(35);
  });

  test("has extents where the device holds other bytes only as what must be read through it", async () => {
    const { crashed } = await crash({ mkfs: ["mkfs.ext4", "-b", "1024"], mount: ["data=journal"] });
    const raw = await device(crashed);
    const fileSystem = await openExt(raw, signal);
    const node = (await find(fileSystem, "folder0/file34")) ?? 0;
    const kinds = new Set<string>();
    for await (const extent of fileSystem.extents(node, signal)) {
      kinds.add(extent.kind);
      if (extent.kind !== "device") continue;
      const content = await Array.fromAsync(fileSystem.read(node, extent, signal));
      const pieces = content.map((piece) => (piece.kind === "data" ? piece.content : Buffer.alloc(piece.length)));
      const below = await raw.read(extent.deviceOffset, extent.length, signal);
      expect(Buffer.concat(pieces).equals(below)).toBe(true);
    }
    expect(kinds).toContain("encoded");
  });

  test("says that it is dirty where its journal is damaged, and shows what lies below", async () => {
    const sound = await crash({ mkfs: ["mkfs.ext4", "-b", "4096"] });
    const crashed = join(work, "damaged");
    await copyFile(sound.crashed, crashed);
    const { stdout } = await run(tool("debugfs"), ["-c", "-R", "blocks <8>", crashed]);
    const [first = 0] = stdout.trim().split(" ").map(Number);
    const file = await open(crashed, "r+");
    await file.write(Buffer.from([0xff]), 0, 1, first * 4096 + 0x30);
    await file.close();
    const fileSystem = await openExt(await device(crashed), signal);
    expect(fileSystem.facts.state).toMatchObject({
      kind: "dirty",
      note: expect.stringMatching(
        /^Its journal cannot be replayed\. .*journal superblock: its checksum is wrong/,
      ) as string,
    });
    expect((await fileSystem.stat(fileSystem.root, signal)).kind).toBe("directory");
  });

  test("says that the kernel had met damage, also where its journal holds a superblock from before that", async () => {
    const sound = await crash({ mkfs: ["mkfs.ext4", "-b", "4096"] });
    const crashed = join(work, "marked");
    await copyFile(sound.crashed, crashed);
    const file = await open(crashed, "r+");
    const superblock = Buffer.alloc(1024);
    await file.read(superblock, 0, 1024, 1024);
    // EXT4_ERROR_FS of s_state.
    superblock.writeUInt16LE(superblock.readUInt16LE(0x3a) | 2, 0x3a);
    superblock.writeUInt32LE(crc32cRaw(0xffffffff, superblock.subarray(0, 0x3fc)), 0x3fc);
    await file.write(superblock, 0, 1024, 1024);
    await file.close();
    const { state } = (await openExt(await device(crashed), signal)).facts;
    expect(state).toMatchObject({
      kind: "dirty",
      note: expect.stringMatching(/journal was replayed .*The kernel had met damage/) as string,
    });
  });

  test("does not get back over a file's content what the journal revokes: blocks of folders that are no more", async () => {
    const [image, crashed] = [join(work, "reused-image"), join(work, "reused")];
    await makeImage(image, 32 * mebibyte, "mkfs.ext4", ["-q", "-F", "-b", "4096", "-m", "0"]);
    await withCrash(image, crashed, async (folder) => void (await run(tool("python3"), [reuser, folder])));
    const fileSystem = await openExt(await device(crashed), signal);
    expect(fileSystem.facts.state.kind).toBe("replayed");
    const node = (await find(fileSystem, "content")) ?? 0;
    const { sizeBytes } = await fileSystem.stat(node, signal);
    expect(sizeBytes).toBeGreaterThan(40 * 4096);
    const expected = createHash("sha256").update(Buffer.alloc(sizeBytes, "A")).digest("hex");
    expect(await hashOf(fileSystem, node)).toBe(expected);
  });

  test("says that fast commits are not shown, where there are any", async () => {
    const [image, crashed, copy] = [join(work, "fast-image"), join(work, "fast"), join(work, "fast-copy")];
    await makeImage(image, 64 * mebibyte, "mkfs.ext4", ["-q", "-F", "-b", "4096", "-O", "fast_commit"]);
    // After a whole commit, the fsync of one new file is a fast one.
    const program =
      "import os,sys; os.chdir(sys.argv[1]); open('before','w').close(); os.sync(); f=os.open('after',os.O_CREAT|os.O_RDWR); os.write(f,b'1'); os.fsync(f)";
    await withCrash(image, crashed, async (folder) => void (await run(tool("python3"), ["-c", program, folder])));
    const fileSystem = await openExt(await device(crashed), signal);
    expect(fileSystem.facts.state).toMatchObject({
      kind: "dirty",
      note: expect.stringMatching(/newest changes lie in fast commits/) as string,
    });
    await copyFile(crashed, copy);
    expect(await withMounted(copy, async (folder) => readdir(folder))).toEqual(["after", "before", "lost+found"]);
    const shown = await Array.fromAsync(fileSystem.list(fileSystem.root, signal));
    expect(shown.map(({ name }) => name).toSorted()).toEqual(["before", "lost+found"]);
  });

  test("says that it has no journal, or that it lies elsewhere", async () => {
    const { crashed } = await crash({ mkfs: ["mkfs.ext2"] });
    const without = (await openExt(await device(crashed), signal)).facts;
    expect(without.state).toMatchObject({ kind: "dirty", note: expect.stringMatching(/has no journal/) as string });

    const image = join(work, "external");
    await makeImage(image, 16 * mebibyte, "mkfs.ext4", ["-q", "-F", "-b", "4096", "-O", "^has_journal"]);
    await run(tool("debugfs"), ["-w", "-R", "feature has_journal needs_recovery", image]);
    const { state } = (await openExt(await device(image), signal)).facts;
    expect(state).toMatchObject({
      kind: "dirty",
      note: expect.stringMatching(/journal lies on another device/) as string,
    });
  });

  test("is clean after being frozen, as for a consistent snapshot", async () => {
    const [image, frozen] = [join(work, "image"), join(work, "frozen")];
    await makeImage(image, 64 * mebibyte, "mkfs.ext4", ["-q", "-F"]);
    await withMounted(image, async (folder) => {
      await run(tool("python3"), [writer, folder, "20"]);
      await run(tool("fsfreeze"), ["-f", folder]);
      try {
        await copyFile(image, frozen);
      } finally {
        await run(tool("fsfreeze"), ["-u", folder]);
      }
    });
    const fileSystem = await openExt(await device(frozen), signal);
    expect(fileSystem.facts.state).toEqual({ kind: "clean" });
    expect(await find(fileSystem, "folder2/file19")).toBeDefined();
  });
});
