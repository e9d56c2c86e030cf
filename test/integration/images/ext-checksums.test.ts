/** Each kind of metadata with a checksum: one changed bit is noticed, and named. */
import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openExt } from "../../../shared/images/file-systems/ext/open-ext.ts";
import { memoryDevice } from "../../../shared/images/overlay-device.ts";
import { imageFolder, makeImage, withMounted } from "../../support/images/mounted-image.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const filler = join(import.meta.dirname, "../../support/images/fill-tree.py");
const blockBytes = 1024;

const mayRun = haveTools("root", "mkfs.ext4", "debugfs", "python3", "setfacl", "mount");

describe.runIf(mayRun)("A changed bit in metadata", () => {
  let work = "";
  let image = "";
  let sound: Buffer = Buffer.alloc(0);
  beforeAll(async () => {
    work = await imageFolder("ext-checksums");
    image = join(work, "image");
    await makeImage(image, 32 * 1024 * 1024, "mkfs.ext4", ["-q", "-F", "-b", String(blockBytes)]);
    await withMounted(image, async (folder) => {
      await run(tool("python3"), [filler, folder, "400", "attributes"]);
    });
    sound = await readFile(image);
  });
  afterAll(async () => {
    await rm(work, { recursive: true });
  });

  /** The first number after `pattern` in what debugfs answers. */
  async function ask(request: string, pattern: RegExp): Promise<number> {
    const { stdout } = await run(tool("debugfs"), ["-R", request, image]);
    const [, digits] = pattern.exec(stdout) ?? [];
    if (digits === undefined) throw new Error(`debugfs did not say ${String(pattern)}: ${stdout}`);
    return Number(digits);
  }

  /** What reading everything of `path` throws, after one bit at `offset` was changed. */
  async function damaged(path: string, offset: number): Promise<string> {
    const bytes = Buffer.from(sound);
    bytes.writeUInt8((bytes[offset] ?? 0) ^ 1, offset);
    try {
      const fileSystem = await openExt(memoryDevice(bytes), signal);
      const found = await fileSystem.lookup(fileSystem.root, path, signal);
      const node = found?.node ?? 0;
      await fileSystem.attributes(node, signal);
      if (found?.kind === "directory") await Array.fromAsync(fileSystem.list(node, signal));
      else await Array.fromAsync(fileSystem.extents(node, signal));
    } catch (error) {
      return String(error);
    }
    return "nothing was noticed";
  }

  test("of the superblock is noticed", async () => {
    expect(await damaged("random", 1024 + 0x88)).toMatch(/ext superblock: its checksum is wrong/);
  });

  test("of a group descriptor is noticed", async () => {
    expect(await damaged("random", 2 * blockBytes + 0x10)).toMatch(/ext group descriptor 0: its checksum is wrong/);
  });

  test("of an inode is noticed, also in its last bytes", async () => {
    const block = await ask("imap /random", /located at block (\d+)/);
    const { stdout } = await run(tool("debugfs"), ["-R", "imap /random", image]);
    const at = block * blockBytes + Number(/offset (0x[0-9a-f]+)/.exec(stdout)?.[1]);
    for (const byte of [0x10, 255]) {
      expect(await damaged("random", at + byte)).toMatch(/ext inode \d+: its checksum is wrong/);
    }
  });

  test("of an extent block is noticed", async () => {
    const block = await ask("stat /fragments", /\(ETB\d+\):(\d+)/);
    expect(await damaged("fragments", block * blockBytes + 20)).toMatch(/extent block \d+: its checksum is wrong/);
  });

  test("of a directory is noticed: in the root of its tree, and in a leaf", async () => {
    const { stdout } = await run(tool("debugfs"), ["-R", "blocks /many", image]);
    const [root = 0, leaf = 0] = stdout.trim().split(/\s+/).map(Number);
    expect(await damaged("many", root * blockBytes + 44)).toMatch(/directory block 0: its checksum is wrong/);
    expect(await damaged("many", leaf * blockBytes + 9)).toMatch(/directory block 1: its checksum is wrong/);
  });

  test("of a block of attributes is noticed", async () => {
    const block = await ask("stat /marked", /File ACL: ([1-9]\d*)/);
    expect(await damaged("marked", block * blockBytes + 1000)).toMatch(/attribute block \d+: its checksum is wrong/);
  });

  test("of content is not: ext4 has no sums over it", async () => {
    const { stdout } = await run(tool("debugfs"), ["-R", "blocks /random", image]);
    expect(await damaged("random", Number(stdout.trim().split(/\s+/).at(-1)) * blockBytes)).toBe("nothing was noticed");
  });
});
