/**
 * Damaged images: metadata changed at random and its checksums made right again, so that the damage gets past them. Whatever it is, the
 * answer is files or an error of the reader's own, after a bounded amount of reading.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FarsideError } from "../../../shared/core/errors.ts";
import { crc32cRaw } from "../../../shared/images/crc32c.ts";
import { writeChecksum } from "../../../shared/images/file-systems/xfs/checksum.ts";
import { blockOffset } from "../../../shared/images/file-systems/xfs/addresses.ts";
import { stampChecksum } from "../../../shared/images/file-systems/xfs/log/buffer-header.ts";
import { LogArea } from "../../../shared/images/file-systems/xfs/log/log-area.ts";
import { findRange, readRecords } from "../../../shared/images/file-systems/xfs/log/log-range.ts";
import { openXfs } from "../../../shared/images/file-systems/xfs/open-xfs.ts";
import type { Superblock } from "../../../shared/images/file-systems/xfs/superblock.ts";
import { parseSuperblock } from "../../../shared/images/file-systems/xfs/superblock.ts";
import { overlayDevice } from "../../../shared/images/overlay-device.ts";
import type { BlockDevice } from "../../../shared/ports/block-device.ts";
import type { FileSystem } from "../../../shared/ports/file-system.ts";
import type { FileDevice } from "../../support/images/file-device.ts";
import { openFileDevice } from "../../support/images/file-device.ts";
import { imageFolder, makeImage, withCrash, withMounted } from "../../support/images/mounted-image.ts";
import { runPython, smallLog, smallTree } from "../../support/images/xfs-writers.ts";
import { haveTools } from "../../support/tools.ts";

const { signal } = new AbortController();
const blockBytes = 4096;
/** More than the log read three times over and all metadata: what one damaged image may cost. */
const maxBytes = 256 * 2 ** 20;
let folder: string;

beforeAll(async () => {
  folder = await imageFolder("xfs-fuzz");
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Numbers from 0 to below `end`, the same for the same seed. */
function randomNumbers(seed: number): (end: number) => number {
  let state = seed;
  return (end) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
}

/** What was reached, and the errors on the way. */
interface Outcome {
  readonly nodes: number;
  readonly errors: readonly unknown[];
  readonly bytes: number;
  /** As the file system says it, or `refused`. */
  readonly state: string;
}

async function exploreImage(device: BlockDevice, counts: FileDevice["counts"]): Promise<Outcome> {
  const before = counts.bytes;
  const errors: unknown[] = [];
  let nodes = 0;
  let state = "refused";
  try {
    const fileSystem = await openXfs(device, signal);
    state = fileSystem.facts.state.kind;
    nodes = await explore(fileSystem, errors);
  } catch (error) {
    errors.push(error);
  }
  return { nodes, errors, bytes: counts.bytes - before, state };
}

/** Everything of every node once; damaged folders may lead in circles. */
async function explore(fileSystem: FileSystem, errors: unknown[]): Promise<number> {
  const todo = [fileSystem.root];
  const seen = new Set(todo);
  for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
    const at = node;
    const attempt = async (work: () => Promise<unknown>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        errors.push(error);
      }
    };
    await attempt(() => fileSystem.stat(at, signal));
    await attempt(() => fileSystem.attributes(at, signal));
    await attempt(() => fileSystem.readLink(at, signal));
    await attempt(() => fileSystem.lookup(at, "a name of a link 5", signal));
    await attempt(async () => {
      for await (const piece of fileSystem.read(at, { offset: 0, length: 256 * 1024 }, signal))
        expect(piece.length).toBeGreaterThan(0);
    });
    await attempt(async () => {
      for await (const extent of fileSystem.extents(at, signal)) expect(extent.length).toBeGreaterThan(0);
    });
    await attempt(async () => {
      for await (const entry of fileSystem.list(at, signal)) {
        if (!seen.has(entry.node)) todo.push(entry.node);
        seen.add(entry.node);
      }
    });
  }
  return seen.size;
}

function damage(bytes: Uint8Array, random: (end: number) => number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let count = 1 + random(3); count > 0; count--) {
    const at = random(bytes.length - 8);
    const extremes = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff];
    switch (random(4)) {
      case 0:
        bytes[at] = random(256);
        break;
      case 1:
        view.setUint32(at - (at % 4), extremes[random(extremes.length)] ?? 0);
        break;
      case 2:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
        break;
      default:
        bytes.copyWithin(at, random(bytes.length), random(bytes.length));
    }
  }
}

/** Blocks that hold metadata, of all the windows that were read. */
async function metadataBlocks(device: FileDevice): Promise<number[]> {
  const windows = new Set<number>();
  const recording: BlockDevice = {
    ...device,
    read: (offset, length) => {
      for (let at = offset; at < offset + length; at += blockBytes) windows.add(Math.floor(at / blockBytes));
      return device.read(offset, length, signal);
    },
  };
  await exploreImage(recording, device.counts);
  const found: number[] = [];
  for (const number of windows) {
    const bytes = Buffer.from(await device.read(number * blockBytes, blockBytes, signal));
    const head = bytes.toString("latin1", 0, 4);
    const isHashed = [0x3df1, 0x3dff, 0x3ebe, 0x3bee].includes(bytes.readUInt16BE(8));
    if (/^(?:IN|XFSB|XDB3|XDD3|BMA3|XSLM|XARM)/.test(head) || isHashed) found.push(number);
  }
  return found;
}

/** The block damaged, its checksums right. */
function damagedBlock(block: Uint8Array, superblock: Superblock, random: (end: number) => number): Uint8Array {
  const bytes = new Uint8Array(block);
  const step = bytes[0] === 0x49 && bytes[1] === 0x4e ? superblock.inodeBytes : undefined;
  if (step === undefined) {
    // Mostly at the start: headers and the first entries say most.
    const sector = bytes[0] === 0x58 && bytes[1] === 0x46 ? bytes.subarray(0, superblock.sectorBytes) : bytes;
    damage(random(2) === 0 ? sector.subarray(0, 256) : sector, random);
    stampChecksum(sector, superblock);
    return bytes;
  }
  for (let at = 0; at < bytes.length; at += step) {
    const inode = bytes.subarray(at, at + step);
    damage(random(2) === 0 ? inode.subarray(0, 200) : inode, random);
    writeChecksum(inode, 100);
  }
  return bytes;
}

const allowed: readonly string[] = ["image-corrupt", "not-supported", "bad-input"];

function unexpected(errors: readonly unknown[]): unknown[] {
  return errors.filter((error) => !(error instanceof FarsideError) || !allowed.includes(error.code));
}

describe.runIf(haveTools("mkfs.xfs", "python3", "root"))("A damaged XFS", () => {
  test("in 300 ways of its metadata shows files or says what is damaged, and reads a bounded amount", async () => {
    const image = join(folder, "tree.img");
    await makeImage(image, 300 * 2 ** 20, "mkfs.xfs", ["-q"]);
    await withMounted(image, (mounted) => runPython(smallTree, mounted));
    const device = await openFileDevice(image);
    const superblock = parseSuperblock(await device.read(0, 32 * 1024, signal), device.sizeBytes);
    const blocks = await metadataBlocks(device);
    expect(blocks.length).toBeGreaterThan(30);
    let [failed, reached] = [0, 0];
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomNumbers(seed);
      const number = blocks[random(blocks.length)] ?? 0;
      const block = await device.read(number * blockBytes, blockBytes, signal);
      const damaged = new Map([[number, damagedBlock(block, superblock, random)]]);
      const outcome = await exploreImage(overlayDevice("damaged", device, blockBytes, damaged), device.counts);
      expect({ seed, number, unexpected: unexpected(outcome.errors) }).toEqual({ seed, number, unexpected: [] });
      expect({ seed, bytes: outcome.bytes > maxBytes }).toEqual({ seed, bytes: false });
      if (outcome.errors.some((error) => error instanceof FarsideError && error.code === "image-corrupt")) failed += 1;
      reached += outcome.nodes;
    }
    await device.close();
    // The damage was seen, and did not always take everything with it.
    expect(failed).toBeGreaterThan(50);
    expect(reached).toBeGreaterThan(300);
  });

  test("in 100 ways of its log is replayed, or shown as it lies and called dirty", async () => {
    const [image, crashed] = [join(folder, "log.img"), join(folder, "crashed.img")];
    await makeImage(image, 300 * 2 ** 20, "mkfs.xfs", ["-q"]);
    await withCrash(image, crashed, (mounted) => runPython(smallLog, mounted));
    const device = await openFileDevice(crashed);
    const superblock = parseSuperblock(await device.read(0, 32 * 1024, signal), device.sizeBytes);
    const log = new LogArea(superblock, device);
    const range = await findRange(log, signal);
    const records = [];
    if (range !== undefined) {
      for await (const { header } of readRecords(log, range, signal)) records.push(header);
    }
    expect(records.length).toBeGreaterThan(20);
    const start = blockOffset(superblock, superblock.logStart, superblock.logBlocks, "log");
    const states = new Map<string, number>();
    for (let seed = 1; seed <= 100; seed++) {
      const random = randomNumbers(seed);
      const { block, headerBlocks, dataBlocks, lengthBytes } = records[random(records.length)] ??
        records[0] ?? { block: 0, headerBlocks: 1, dataBlocks: 1, lengthBytes: 512 };
      const offset = start + block * 512;
      const bytes = new Uint8Array(await device.read(offset, (headerBlocks + dataBlocks) * 512, signal));
      damage(bytes.subarray(random(4) === 0 ? 0 : headerBlocks * 512, headerBlocks * 512 + lengthBytes), random);
      sumRecord(bytes, headerBlocks, lengthBytes);
      const sectors = new Map(
        Array.from({ length: bytes.length / 512 }, (_, at) => [
          offset / 512 + at,
          bytes.slice(at * 512, at * 512 + 512),
        ]),
      );
      const damaged = overlayDevice("damaged", device, 512, sectors);
      const outcome = await exploreImage(damaged, device.counts);
      expect({ seed, unexpected: unexpected(outcome.errors) }).toEqual({ seed, unexpected: [] });
      expect({ seed, bytes: outcome.bytes > maxBytes }).toEqual({ seed, bytes: false });
      states.set(outcome.state, (states.get(outcome.state) ?? 0) + 1);
    }
    await device.close();
    expect(states.get("dirty")).toBeGreaterThan(10);
    expect(states.get("replayed")).toBeGreaterThan(20);
  });
});

/** struct xlog_rec_header up to h_pad0, and the data of a record of up to 32 KiB. */
function sumRecord(bytes: Uint8Array, headerBlocks: number, lengthBytes: number): void {
  let crc = crc32cRaw(0xffffffff, bytes.subarray(0, 32));
  crc = crc32cRaw(crc, new Uint8Array(4));
  crc = crc32cRaw(crc, bytes.subarray(36, 328));
  crc = crc32cRaw(crc, bytes.subarray(headerBlocks * 512, headerBlocks * 512 + lengthBytes));
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(32, ~crc >>> 0, true);
}
