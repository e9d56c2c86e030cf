/** A small image damaged in many ways, and a walk over all that a reader shows of it. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { BlockDevice } from "../../../shared/ports/block-device.ts";
import type { FileSystem, NodeId } from "../../../shared/ports/file-system.ts";
import { hasCode } from "../../../shared/core/errors.ts";
import { refuseLong, refuseOutside } from "../../../shared/images/mapped-device.ts";
import { memoryDevice } from "../../../shared/images/overlay-device.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";

export function fixtureImage(name: string): Uint8Array {
  return gunzipSync(readFileSync(new URL(`../../fixtures/images/${name}.gz`, import.meta.url)));
}

/** As `memoryDevice`, but it refuses what is outside, and more than `mostBytes` in all: a reader that asks for more does not end. */
export function countedDevice(
  bytes: Uint8Array,
  mostBytes: number,
): BlockDevice & { readonly counts: { bytes: number } } {
  const counts = { bytes: 0 };
  const base = memoryDevice(bytes);
  return {
    ...base,
    counts,
    async read(offset, length, signal) {
      signal.throwIfAborted();
      refuseOutside("test image", bytes.length, offset, length);
      refuseLong(length);
      counts.bytes += length;
      if (counts.bytes > mostBytes) throw new Error(`More than ${mostBytes} bytes were read.`);
      return base.read(offset, length, signal);
    },
  };
}

/** What images may throw; all else is a defect of the reader. */
const allowed = ["image-corrupt", "not-supported", "bad-input"] as const;

/** Codes that came up, counted. */
export type Findings = Map<string, number>;

/**
 * `count` times: 1 to 8 places of the image are changed where it is not empty, everything is walked and read, the image is restored.
 * Throws what no image may cause.
 */
export async function damageAndWalk(
  image: Uint8Array,
  count: number,
  seed: number,
  open: (device: BlockDevice, signal: AbortSignal) => Promise<FileSystem>,
): Promise<Findings> {
  const random = new SeededRandom(seed);
  const below = (limit: number): number => random.below(limit);
  const sectors = fullSectors(image);
  const findings: Findings = new Map();
  for (let round = 0; round < count; round++) {
    const undo: (() => void)[] = [];
    for (let change = below(8); change >= 0; change--) {
      // Structures have many zeros, contents few: three changes of four hit a structure.
      const among = below(4) === 0 ? sectors.full : sectors.structures;
      const at = (among[below(among.length)] ?? 0) * sectorBytes + below(sectorBytes - 8);
      const before = Uint8Array.from(image.subarray(at, at + 8));
      undo.push(() => image.set(before, at));
      damage(image, at, below);
    }
    try {
      await walk(open, countedDevice(image, 256 * 1024 * 1024), findings);
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}: ${String(error)}`, { cause: error });
    } finally {
      for (const restore of undo.toReversed()) restore();
    }
  }
  return findings;
}

const sectorBytes = 512;
const extremes = [0, 1, 2, 0x7f, 0x80, 0xff];

function damage(image: Uint8Array, at: number, below: (limit: number) => number): void {
  const value = below(2) === 0 ? below(256) : (extremes[below(extremes.length)] ?? 0);
  const length = [1, 1, 1, 2, 4, 8][below(6)] ?? 1;
  if (below(4) === 0) image[at] = (image[at] ?? 0) ^ (1 << below(8));
  else image.fill(value, at, at + length);
}

interface Sectors {
  readonly full: number[];
  readonly structures: number[];
}

/** Those in which something stands, without what repeats itself: an emptied log, file contents of one byte. */
function fullSectors(image: Uint8Array): Sectors {
  const full: number[] = [];
  const structures: number[] = [];
  for (let sector = 0; sector < image.length / sectorBytes; sector++) {
    const bytes = image.subarray(sector * sectorBytes, (sector + 1) * sectorBytes);
    if (Buffer.compare(bytes, Buffer.alloc(sectorBytes, bytes[0])) === 0) continue;
    full.push(sector);
    if (bytes.filter((byte) => byte === 0).length > sectorBytes / 4) structures.push(sector);
  }
  return { full, structures };
}

async function walk(
  open: (device: BlockDevice, signal: AbortSignal) => Promise<FileSystem>,
  device: BlockDevice,
  findings: Findings,
): Promise<void> {
  const { signal } = new AbortController();
  const note = (code: string): void => void findings.set(code, (findings.get(code) ?? 0) + 1);
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!hasCode(error, ...allowed)) throw error;
      note(error.code);
    }
  };
  await attempt(async () => {
    const fileSystem = await open(device, signal);
    note("opened");
    const seen = new Set<NodeId>([fileSystem.root]);
    const waiting: NodeId[] = [fileSystem.root];
    for (let node = waiting.pop(); node !== undefined && seen.size < 2_000; node = waiting.pop()) {
      const directory = node;
      await attempt(async () => {
        for await (const entry of fileSystem.list(directory, signal)) {
          if (seen.has(entry.node)) continue;
          seen.add(entry.node);
          waiting.push(entry.node);
        }
      });
      await attempt(async () => {
        const entry = await fileSystem.lookup(directory, "Entry 3 größer", signal);
        if (entry !== undefined) note("found");
      });
      await attempt(async () => visit(fileSystem, directory, note, signal));
    }
  });
}

async function visit(
  fileSystem: FileSystem,
  node: NodeId,
  note: (what: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const stat = await fileSystem.stat(node, signal);
  note(stat.kind);
  await fileSystem.attributes(node, signal);
  if (stat.kind === "link") await fileSystem.readLink(node, signal);
  if (stat.kind !== "file") return;
  let at = 0;
  for await (const piece of fileSystem.read(node, { offset: 0, length: 4 * 1024 * 1024 }, signal)) {
    if (piece.offset !== at || piece.length <= 0) throw new Error(`A piece at ${piece.offset} follows on ${at}`);
    at += piece.length;
  }
  let extents = 0;
  for await (const extent of fileSystem.extents(node, signal)) {
    if (extent.length <= 0) throw new Error("An extent is empty");
    if (++extents > 10_000) break;
  }
}
