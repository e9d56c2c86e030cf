/** Real images with bytes changed at random: each ends, and says what is wrong in the words of the project. */
import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasCode } from "../../../shared/core/errors.ts";
import { openExt } from "../../../shared/images/file-systems/ext/open-ext.ts";
import { memoryDevice } from "../../../shared/images/overlay-device.ts";
import type { BlockDevice } from "../../../shared/ports/block-device.ts";
import type { FileSystem, NodeId } from "../../../shared/ports/file-system.ts";
import { refuseLong, refuseOutside } from "../../../shared/images/mapped-device.ts";
import { imageFolder, makeImage, withCrash, withMounted } from "../../support/images/mounted-image.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const support = join(import.meta.dirname, "../../support/images");
const mebibyte = 1024 * 1024;

/** Reads of one image: a walk of the sound one takes less than a quarter. */
const mostReads = 20_000;
/** Nodes of one walk, and pieces of one file: a damaged tree may be a graph with loops, which is for walkers to end. */
const mostNodes = 300;
const mostPieces = 2000;

/** The image as a device that checks how it is used. */
function watched(bytes: Buffer): { readonly device: BlockDevice; readonly reads: () => number } {
  const below = memoryDevice(bytes);
  let reads = 0;
  const read: BlockDevice["read"] = async (offset, length, signal) => {
    refuseOutside("image", bytes.length, offset, length);
    refuseLong(length);
    reads += 1;
    if (reads > mostReads) throw new Error(`More than ${mostReads} reads.`);
    return below.read(offset, length, signal);
  };
  return { device: { ...below, read }, reads: () => reads };
}

/** Runs it; only the project's errors about images may come out. */
async function expected(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!hasCode(error, "image-corrupt", "not-supported", "bad-input")) throw error;
  }
}

async function walk(fileSystem: FileSystem): Promise<void> {
  const waiting: NodeId[] = [fileSystem.root];
  let nodes = 0;
  for (let node = waiting.pop(); node !== undefined && nodes < mostNodes; node = waiting.pop()) {
    nodes += 1;
    const current = node;
    await expected(async () => visit(fileSystem, current, waiting));
  }
}

async function visit(fileSystem: FileSystem, node: NodeId, waiting: NodeId[]): Promise<void> {
  const { kind, sizeBytes } = await fileSystem.stat(node, signal);
  await expected(async () => void (await fileSystem.attributes(node, signal)));
  if (kind === "link") await fileSystem.readLink(node, signal);
  if (kind === "directory") {
    await expected(async () => void (await fileSystem.lookup(node, "not there", signal)));
    for await (const entry of fileSystem.list(node, signal)) waiting.push(entry.node);
  }
  if (kind !== "file") return;
  let pieces = 0;
  for await (const piece of fileSystem.read(node, { offset: 0, length: sizeBytes }, signal)) {
    if (piece.kind === "data" && piece.content.length !== piece.length)
      throw new Error("A piece is not as long as it says.");
    if ((pieces += 1) > mostPieces) break;
  }
  for await (const { length } of fileSystem.extents(node, signal)) {
    if (length <= 0) throw new Error("An extent is empty.");
    if ((pieces += 1) > 2 * mostPieces) break;
  }
}

const mayRun = haveTools("root", "mkfs.ext4", "mkfs.ext3", "python3", "setfacl", "mount");

describe.runIf(mayRun)("A damaged image", () => {
  let work = "";
  beforeAll(async () => {
    work = await imageFolder("ext-fuzz");
  });
  afterAll(async () => {
    await rm(work, { recursive: true });
  });

  async function filled(mkfs: string, args: readonly string[]): Promise<Buffer> {
    const image = join(work, "image");
    await makeImage(image, 16 * mebibyte, mkfs, ["-q", "-F", "-b", "1024", ...args]);
    await withMounted(image, async (folder) => {
      await run(tool("python3"), [join(support, "fill-tree.py"), folder, "40", "attributes"]);
    });
    return readFile(image);
  }

  async function crashed(args: readonly string[]): Promise<Buffer> {
    const [image, after] = [join(work, "image"), join(work, "crashed")];
    await makeImage(image, 16 * mebibyte, "mkfs.ext4", ["-q", "-F", "-b", "1024", "-J", "size=1", ...args]);
    await withCrash(image, after, async (folder) => {
      await run(tool("python3"), [join(support, "write-and-sync.py"), folder, "30"]);
    });
    return readFile(after);
  }

  /**
   * Changes bytes where there are some: zeros are mostly free space. Without metadata checksums, so that damage gets past them; with
   * them a few runs show that they are no way in.
   */
  async function fuzz(sound: Buffer, runs: number): Promise<void> {
    const used = usedWords(sound);
    const change = fc.record({ at: fc.nat(used.length - 1), byte: fc.nat(3), value: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 30 }), async (changes) => {
        const undo = changes.map(({ at, byte, value }) => {
          const place = (used[at] ?? 0) * 4 + byte;
          const before = sound[place] ?? 0;
          sound[place] = value;
          return (): void => void (sound[place] = before);
        });
        try {
          const { device } = watched(sound);
          await expected(async () => walk(await openExt(device, signal)));
        } finally {
          for (const back of undo.toReversed()) back();
        }
      }),
      { numRuns: runs, interruptAfterTimeLimit: 100_000, markInterruptAsFailure: true },
    );
  }

  test.each([
    ["ext4 without checksums", "mkfs.ext4", ["-O", "^metadata_csum"], 120],
    ["ext4 with inline_data without checksums", "mkfs.ext4", ["-O", "^metadata_csum,inline_data,ea_inode"], 60],
    ["ext4 with checksums", "mkfs.ext4", [], 30],
    ["ext3", "mkfs.ext3", [], 60],
  ] as const)("ends and is refused in the project's words: %s", async (_, mkfs, args, runs) => {
    const sound = await filled(mkfs, args);
    const { device, reads } = watched(sound);
    await walk(await openExt(device, signal));
    expect(reads()).toBeLessThan(mostReads / 4);
    await fuzz(sound, runs);
  });

  test.each([
    ["without sums", ["-O", "^metadata_csum"]],
    ["with sums", []],
  ] as const)("with a journal to replay ends and is refused in the project's words: %s", async (_, args) => {
    const sound = await crashed(args);
    expect((await openExt(memoryDevice(sound), signal)).facts.state.kind).toBe("replayed");
    await fuzz(sound, 60);
  });
});

/** Places of four bytes that are not zeros, in blocks that have zeros too: metadata. The random content of files has hardly any. */
function usedWords(bytes: Buffer): number[] {
  const used: number[] = [];
  for (let block = 0; block < bytes.length; block += 1024) {
    const places = Array.from({ length: 256 }, (_, index) => block / 4 + index);
    const written = places.filter((place) => bytes.readUInt32LE(place * 4) !== 0);
    if (written.length < 230) used.push(...written);
  }
  return used;
}
