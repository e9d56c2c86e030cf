import { execFile } from "node:child_process";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blockOffset } from "../../../shared/images/file-systems/xfs/addresses.ts";
import { findHead } from "../../../shared/images/file-systems/xfs/log/find-head.ts";
import { LogArea, recordMagic } from "../../../shared/images/file-systems/xfs/log/log-area.ts";
import { Metadata } from "../../../shared/images/file-systems/xfs/metadata.ts";
import { openXfs } from "../../../shared/images/file-systems/xfs/open-xfs.ts";
import { parseSuperblock } from "../../../shared/images/file-systems/xfs/superblock.ts";
import { XfsFileSystem } from "../../../shared/images/file-systems/xfs/xfs-file-system.ts";
import type { BlockDevice } from "../../../shared/ports/block-device.ts";
import type { FileSystemState } from "../../../shared/ports/file-system.ts";
import { openFileDevice } from "../../support/images/file-device.ts";
import type { TreeView } from "../../support/images/tree-view.ts";
import { differences, kernelView, readerView } from "../../support/images/tree-view.ts";
import { copyImage, imageFolder, makeImage, withCrash, withMounted } from "../../support/images/mounted-image.ts";
import { crashWriters, runPython } from "../../support/images/xfs-writers.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const { signal } = new AbortController();
const imageBytes = 300 * 2 ** 20;
let folder: string;

beforeAll(async () => {
  folder = await imageFolder("xfs-replay");
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

interface Variant {
  readonly writer: keyof typeof crashWriters;
  readonly mkfs: readonly string[];
  readonly mount: readonly string[];
}

/** The image of a machine whose power failed. */
async function crashedImage({ writer, mkfs, mount }: Variant): Promise<string> {
  const crashed = join(folder, "crashed.img");
  const image = join(folder, "running.img");
  await makeImage(image, imageBytes, "mkfs.xfs", ["-q", ...mkfs]);
  await withCrash(image, crashed, (mounted) => runPython(crashWriters[writer], mounted), mount);
  return crashed;
}

interface Shown {
  readonly state: FileSystemState;
  readonly view: TreeView;
}

async function readerShows(image: string, through = (device: BlockDevice): BlockDevice => device): Promise<Shown> {
  const device = await openFileDevice(image);
  try {
    const fileSystem = await openXfs(through(device), signal);
    const { state } = fileSystem.facts;
    // What could not be replayed may be torn anywhere.
    return { state, view: state.kind === "dirty" ? new Map() : await readerView(fileSystem, signal) };
  } finally {
    await device.close();
  }
}

/** After the kernel's own replay, of a copy. Undefined where it refuses to mount it. */
async function kernelShows(image: string): Promise<TreeView | undefined> {
  const judge = join(folder, "judge.img");
  await copyImage(image, judge);
  try {
    return await withMounted(judge, (mounted) => kernelView(mounted));
  } catch (error) {
    if (error instanceof Error && error.message.includes("mount")) return undefined;
    throw error;
  } finally {
    // xfs_repair finds nothing wrong with what the kernel replayed: the judge is sound.
    if (image.endsWith("crashed.img")) await run(tool("xfs_repair"), ["-n", judge]);
  }
}

async function readerShowsUnreplayed(image: string): Promise<TreeView> {
  const device = await openFileDevice(image);
  try {
    const superblock = parseSuperblock(await device.read(0, 32 * 1024, signal), device.sizeBytes);
    const asItLies = new XfsFileSystem(new Metadata(superblock, device), { kind: "clean" });
    return await readerView(asItLies, signal);
  } finally {
    await device.close();
  }
}

async function turnOfLog(image: string): Promise<number> {
  const device = await openFileDevice(image);
  const superblock = parseSuperblock(await device.read(0, 32 * 1024, signal), device.sizeBytes);
  const cycle = await new LogArea(superblock, device).cycle(0, signal);
  await device.close();
  return cycle;
}

describe.runIf(haveTools("mkfs.xfs", "xfs_repair", "xfs_io", "python3", "root"))("An XFS whose power failed", () => {
  test.each<Variant>([
    { writer: "synced", mkfs: [], mount: [] },
    { writer: "synced", mkfs: ["-m", "rmapbt=1", "-b", "size=1024"], mount: ["logbsize=256k"] },
    { writer: "extents", mkfs: ["-i", "nrext64=1"], mount: [] },
    {
      writer: "extents",
      mkfs: ["-m", "reflink=0,bigtime=0", "-l", "sunit=64", "-i", "sparse=0"],
      mount: ["logbsize=32k"],
    },
    { writer: "roundTheLog", mkfs: ["-n", "size=16384", "-s", "size=4096"], mount: ["logbsize=64k"] },
  ])("after $writer on $mkfs mounted with $mount shows what the kernel's own replay shows", async (variant) => {
    const crashed = await crashedImage(variant);
    const kernel = await kernelShows(crashed);
    const reader = await readerShows(crashed);
    expect(reader.state.kind).toBe("replayed");
    expect(differences(kernel ?? new Map(), reader.view)).toEqual([]);
    expect(reader.view.has("/DONE")).toBe(true);
    // The writer that is to go round the log did: its first block was written again.
    expect(await turnOfLog(crashed)).toBeGreaterThanOrEqual(variant.writer === "roundTheLog" ? 2 : 1);
  });

  test("without the replay shows no file at all: the control", async () => {
    const crashed = await crashedImage({ writer: "synced", mkfs: [], mount: [] });
    await copyImage(crashed, join(folder, "synced.img"));
    expect([...(await readerShowsUnreplayed(crashed)).keys()]).toEqual([""]);
    expect((await readerShows(crashed)).view.size).toBeGreaterThan(400);
  });

  test("is replayed the same from a device that answers with Buffers of its cache, which stay as they are", async () => {
    // What a mapped device reads over the end of a piece is a Buffer; its slice() is no copy.
    const cache = new Map<string, Buffer>();
    const cached = (device: BlockDevice): BlockDevice => ({
      ...device,
      read: async (offset, length) => {
        const key = `${offset}:${length}`;
        const bytes = cache.get(key) ?? Buffer.from(await device.read(offset, length, signal));
        cache.set(key, bytes);
        return bytes;
      },
    });
    const image = join(folder, "synced.img");
    const shown = await readerShows(image, cached);
    expect(shown.state.kind).toBe("replayed");
    expect(differences((await readerShows(image)).view, shown.view)).toEqual([]);
    const device = await openFileDevice(image);
    for (const [key, bytes] of cache) {
      const [offset = 0, length = 0] = key.split(":").map(Number);
      expect(bytes.equals(await device.read(offset, length, signal))).toBe(true);
    }
    await device.close();
  });

  test("with a log torn at its end shows what the kernel shows, and where the kernel refuses to mount says so", async () => {
    const crashed = join(folder, "synced.img");
    let [refused, replayed] = [0, 0];
    for (const damage of damages) {
      const torn = join(folder, "torn.img");
      await copyImage(crashed, torn);
      await damageLog(torn, damage);
      const reader = await readerShows(torn);
      const kernel = await kernelShows(torn);
      expect({ damage, state: reader.state.kind }).toEqual({
        damage,
        state: kernel === undefined ? "dirty" : "replayed",
      });
      expect(differences(kernel ?? new Map(), reader.view)).toEqual([]);
      if (kernel === undefined) refused += 1;
      else replayed += 1;
    }
    // Damage further back than the writes that could be under way is no torn write.
    expect([refused, replayed]).toEqual([1, 6]);
  });

  test("that is marked for repair, is newer than its log, or was given another uuid, is shown as it lies and says why", async () => {
    const crashed = join(folder, "synced.img");
    const setSuperblock = (field: string, value: string): Promise<unknown> =>
      run(tool("xfs_db"), ["-x", "-c", "sb 0", "-c", `write -d ${field} ${value}`, crashed]);
    await setSuperblock("features_incompat", "0x1b");
    const { state } = await readerShows(crashed);
    expect(state).toEqual({ kind: "dirty", note: "It is marked as needing xfs_repair; its log was not replayed." });
    await setSuperblock("features_incompat", "0xb");
    await setSuperblock("lsn", "0x7000000001");
    expect((await readerShows(crashed)).state).toMatchObject({
      kind: "dirty",
      note: expect.stringMatching(/newer than the log/) as string,
    });
    expect(await kernelShows(crashed)).toBeUndefined();
    await setSuperblock("lsn", "0");
    await setSuperblock("features_incompat", "0xf");
    await setSuperblock("meta_uuid", (await run(tool("xfs_db"), ["-r", "-c", "uuid", crashed])).stdout.slice(7).trim());
    await setSuperblock("uuid", "00000000-1111-2222-3333-444444444444");
    expect((await readerShows(crashed)).state.kind).toBe("dirty");
  });
});

/** Blocks of 512 bytes before the head of the log: made zeros, given the cycle of the turn before, or one byte of them changed. */
interface Damage {
  readonly how: "zeros" | "old-cycle" | "byte";
  readonly fromHead: number;
  readonly count: number;
}

const damages: readonly Damage[] = [
  { how: "zeros", fromHead: 1, count: 1 },
  { how: "zeros", fromHead: 100, count: 100 },
  { how: "old-cycle", fromHead: 30, count: 30 },
  // A hole in what was under way: a later write reached the disk and an earlier one did not.
  { how: "old-cycle", fromHead: 60, count: 8 },
  { how: "byte", fromHead: 3, count: 1 },
  { how: "byte", fromHead: 20, count: 1 },
  { how: "byte", fromHead: 3000, count: 1 },
];

async function damageLog(image: string, { how, fromHead, count }: Damage): Promise<void> {
  const device = await openFileDevice(image);
  const superblock = parseSuperblock(await device.read(0, 32 * 1024, signal), device.sizeBytes);
  const log = new LogArea(superblock, device);
  const head = (await findHead(log, signal)) ?? 0;
  const cycle = await log.cycle(head - 1, signal);
  const start = blockOffset(superblock, superblock.logStart, superblock.logBlocks, "log");
  const file = await open(image, "r+");
  for (let block = head - fromHead; block < head - fromHead + count; block++) {
    const bytes = Buffer.from(await device.read(start + block * 512, 512, signal));
    if (how === "zeros") bytes.fill(0);
    else if (how === "old-cycle") bytes.writeUInt32BE(cycle - 1, bytes.readUInt32BE(0) === recordMagic ? 4 : 0);
    else bytes[100] = (bytes[100] ?? 0) ^ 0x5a;
    await file.write(bytes, 0, 512, start + block * 512);
  }
  await file.close();
  await device.close();
}
