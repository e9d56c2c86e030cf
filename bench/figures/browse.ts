/**
 * What it costs to look into a restore point: a system disk of 3 GiB, laid out as Azure's Debian images, with 25,000 files of up to
 * 4 KiB in its root, in an encrypted vault in memory. Counted are the fetches of chunks (1 MiB each), from a cold cache; index and
 * segments of the disk are five more requests.
 * Not measured: the network; a root that years of use have scattered; other file systems.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ChunkCache } from "../../shared/operations/files/chunk-cache.ts";
import { openVolumeFileSystem, openVolumes } from "../../shared/operations/files/open-volume.ts";
import type { FileSystem, NodeId } from "../../shared/ports/file-system.ts";
import { tool } from "../../test/support/tools.ts";
import { imageCache } from "../../cli/open-image.ts";
import type { Figure } from "../support/figure.ts";
import { imageVault } from "../support/image-vault.ts";
import { mib } from "../support/regions.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const fileCount = 25_000;
const filesPerFolder = 50;
/** As many entries as the root of a Linux system has. */
const rootFolders = 20;
/** First byte of the root partition: behind the BIOS boot and the EFI partition. */
const rootStart = 128 * mib;
const diskBytes = 3072 * mib;

export async function browse(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), "farside-browse-"));
  try {
    const image = await makeDisk(folder);
    const { vault, manifest } = await imageVault(image, mib, signal);
    const openRoot = async (): Promise<{ cache: ChunkCache; root: FileSystem }> => {
      const cache = new ChunkCache(vault, imageCache);
      const volumes = await openVolumes(vault, manifest, { ...imageCache, cache }, signal);
      return { cache, root: await openVolumeFileSystem(volumes, "os/p1", signal) };
    };
    const listing = await openRoot();
    const entries = await Array.fromAsync(listing.root.list(listing.root.root, signal));
    const listFetches = listing.cache.stats.fetches;
    for (const { node } of entries) await listing.root.stat(node, signal);
    const factFetches = listing.cache.stats.fetches;
    const reading = await openRoot();
    const bytes = await readFileAt(reading.root, ["folder-7", "folder-12", "ten-kib"]);
    const walking = await openRoot();
    const before = performance.now();
    const walked = await walk(walking.root);
    const walkMs = performance.now() - before;
    if (entries.length < rootFolders || bytes !== 10_240 || walked < fileCount) {
      throw new Error(`The file system shows ${entries.length} entries, a file of ${bytes} bytes, ${walked} files.`);
    }
    return [
      {
        name: "open a system disk of 3 GiB and list its root",
        value: `${listFetches} chunk fetches (${factFetches} with the size and dates of each entry)`,
        target: "<= 10",
        met: listFetches <= 10,
      },
      {
        name: "open it and read one file of 10 KiB",
        value: `${reading.cache.stats.fetches} chunk fetches`,
        target: "<= 16",
        met: reading.cache.stats.fetches <= 16,
      },
      {
        name: `walk of ${walked} files with their facts, no network`,
        value: `${(walkMs / 1000).toFixed(1)} s, ${walking.cache.stats.fetches} chunk fetches`,
        target: "< 5 s",
        met: walkMs < 5000,
      },
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function makeDisk(folder: string): Promise<string> {
  const tree = join(folder, "tree");
  for (let made = 0; made < fileCount; made += filesPerFolder) {
    const number = made / filesPerFolder;
    const name = join(tree, `folder-${number % rootFolders}`, `folder-${Math.floor(number / rootFolders)}`);
    await mkdir(name, { recursive: true });
    for (let at = 0; at < filesPerFolder; at++) {
      await writeFile(join(name, `file-${at}`), Buffer.alloc(((made + at) * 37) % 4096, `file ${made + at}\n`));
    }
  }
  await writeFile(join(tree, "folder-7", "folder-12", "ten-kib"), Buffer.alloc(10_240, "ten "));
  const image = join(folder, "disk.img");
  await writeFile(image, "");
  await truncate(image, diskBytes);
  const start = rootStart / 512;
  // It fills its partition, as a root does that was grown at the first boot.
  const rootMib = (diskBytes - rootStart) / mib - 1;
  const parts = ["-n", "14:2048:+3M", "-t", "14:ef02", "-n", "15:0:+120M", "-t", "15:ef00", "-n", `1:${start}:0`];
  await run(tool("sgdisk"), [...parts, image]);
  const root = join(folder, "root.img");
  await writeFile(root, "");
  await truncate(root, rootMib * mib);
  await run(tool("mkfs.ext4"), ["-q", "-d", tree, root]);
  const efi = join(folder, "efi.img");
  await writeFile(efi, "");
  await truncate(efi, 120 * mib);
  await run(tool("mkfs.fat"), [efi]);
  for (const [part, seekMib] of [
    [root, rootStart / mib],
    [efi, 4],
  ] as const) {
    await run("dd", [`if=${part}`, `of=${image}`, "bs=1M", `seek=${seekMib}`, "conv=notrunc,sparse", "status=none"]);
  }
  // What a boot loader leaves in its partition.
  const file = await open(image, "r+");
  await file.write(Buffer.alloc(100_000, 0x90), 0, 100_000, mib);
  await file.close();
  await rm(root);
  return image;
}

async function readFileAt(system: FileSystem, path: readonly string[]): Promise<number> {
  let node: NodeId = system.root;
  for (const name of path) {
    const entry = await system.lookup(node, name, signal);
    if (entry === undefined) throw new Error(`There is no ${path.join("/")}.`);
    node = entry.node;
  }
  let bytes = 0;
  const { sizeBytes } = await system.stat(node, signal);
  for await (const piece of system.read(node, { offset: 0, length: sizeBytes }, signal)) bytes += piece.length;
  return bytes;
}

/** Files below the root, each with its facts read. */
async function walk(system: FileSystem): Promise<number> {
  const folders: NodeId[] = [system.root];
  let files = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const { node } of system.list(folder, signal)) {
      const { kind } = await system.stat(node, signal);
      if (kind === "directory") folders.push(node);
      else files += 1;
    }
  }
  return files;
}
