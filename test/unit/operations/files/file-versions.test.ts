import { describe, expect, test } from "vitest";
import { FarsideError } from "../../../../shared/core/errors.ts";
import { parsePointId } from "../../../../shared/core/ids.ts";
import { timestamp } from "../../../../shared/core/timestamp.ts";
import { corrupt } from "../../../../shared/core/vault/corrupt.ts";
import { notSupported } from "../../../../shared/images/image-errors.ts";
import {
  fileVersions,
  type OpenedVolume,
  type VersionPoint,
} from "../../../../shared/operations/files/file-versions.ts";
import type { BlockDevice, ContentName } from "../../../../shared/ports/block-device.ts";
import type { FileExtent } from "../../../../shared/ports/file-system.ts";
import { directory, file, link, memoryFileSystem, type MemoryNode } from "../../../support/files/memory-file-system.ts";
import { collect } from "../../../support/vault/vault-fixture.ts";

const { signal } = new AbortController();
const chunkBytes = 1000;

/** A device of which only the names of its chunks are known: reading it fails. */
function device(chunks: readonly string[]): BlockDevice {
  const refuse = (): never => {
    throw new Error("It must not be read.");
  };
  return {
    sizeBytes: chunks.length * chunkBytes,
    read: async () => refuse(),
    extents: () => refuse(),
    async *contentNames(offset, length): AsyncGenerator<ContentName> {
      for (let at = offset; at < offset + length;) {
        const within = at % chunkBytes;
        const count = Math.min(chunkBytes - within, offset + length - at);
        const name = chunks[Math.floor(at / chunkBytes)] ?? "zero";
        yield { name, at: name === "zero" ? 0 : within, length: count };
        at += count;
      }
    },
  };
}

const extent = (offset: number, length: number, deviceOffset?: number): FileExtent =>
  deviceOffset === undefined ? { kind: "hole", offset, length } : { kind: "device", offset, length, deviceOffset };

/** A file that lies where `extents` say; its bytes may be read only where they are given. */
function lying(extents: readonly FileExtent[], more: Partial<MemoryNode> = {}): MemoryNode {
  const sizeBytes = extents.reduce((sum, one) => sum + one.length, 0);
  return file("", { sizeBytes, extents, failure: { at: 0, error: new Error("It must not be read.") }, ...more });
}

let count = 0;
function point(chunks: readonly string[], node: MemoryNode | undefined): VersionPoint {
  return opening(async () => ({
    path: "/f",
    fs: memoryFileSystem(directory(node === undefined ? {} : { f: node })),
    device: device(chunks),
  }));
}

function opening(open: () => Promise<OpenedVolume>): VersionPoint {
  count += 1;
  return {
    restorePointId: parsePointId(`01M7Y3JTVJQ3629HETPB${String(count).padStart(6, "0")}`),
    snapshotAt: timestamp(count),
    open,
  };
}

async function results(points: readonly VersionPoint[], readData = false): Promise<string[]> {
  async function* all(): AsyncGenerator<VersionPoint> {
    yield* points;
  }
  const found = await collect(fileVersions(all(), { readData }, signal));
  return found.map(({ result, error }) => (error === undefined ? result : `${result} ${error.code}`));
}

describe("Versions of a file", () => {
  test("are told from chunk ids alone", async () => {
    const here = [extent(0, 1500, 500)];
    expect(
      await results([
        point(["a", "b", "c"], lying(here)),
        point(["a", "b", "c"], lying(here)),
        point(["a", "b", "other"], lying(here)),
        point(["a", "x", "c"], lying(here)),
        point(["a", "x", "c"], lying(here, { modifiedNs: 5n })),
        point(["y", "x", "c"], lying(here, { modifiedNs: 6n })),
        point(["y", "x", "c"], lying([extent(0, 1501, 500)])),
      ]),
    ).toEqual(["first", "same", "same", "maybe", "same", "changed", "changed"]);
  });

  test("are the same where the file lies otherwise in the same chunks, in other stretches, or in holes for zeros", async () => {
    expect(
      await results([
        point(["a", "b", "zero"], lying([extent(0, 1000, 0), extent(1000, 1000, 1000), extent(2000, 1000, 2000)])),
        point(["zero", "a", "b"], lying([extent(0, 2000, 1000), extent(2000, 1000)])),
        point(
          ["b", "a", "zero"],
          lying([extent(0, 400, 1000), extent(400, 600, 1400), extent(1000, 1000, 0), extent(2000, 1000)]),
        ),
        point(
          ["b", "a", "zero"],
          lying([extent(0, 1000, 0), extent(1000, 1000, 1000), extent(2000, 1000)], { modifiedNs: 9n }),
        ),
      ]),
    ).toEqual(["first", "same", "same", "changed"]);
  });

  test("are compared with the last point that has the file", async () => {
    const here = [extent(0, 1000, 0)];
    const gone = opening(async () => {
      throw new FarsideError("not-found", "There is no volume.");
    });
    expect(
      await results([
        point([], undefined),
        point(["a"], lying(here)),
        gone,
        point([], undefined),
        point(["a"], lying(here)),
      ]),
    ).toEqual(["absent", "first", "absent", "absent", "same"]);
  });

  test("go on beside a point that cannot be read", async () => {
    const here = [extent(0, 1000, 0)];
    const lost = opening(async () => {
      throw corrupt({ object: "chunks/ab", reason: "missing" }, "it is missing");
    });
    const unknown = lying(here, { extents: undefined, failure: { at: 0, error: notSupported("An encrypted file") } });
    expect(await results([point(["a"], lying(here)), lost, point(["a"], unknown), point(["a"], lying(here))])).toEqual([
      "first",
      "unreadable vault-corrupt",
      "unreadable not-supported",
      "same",
    ]);
    const broken = opening(async () => {
      throw new TypeError("a defect");
    });
    await expect(results([broken])).rejects.toThrow("a defect");
  });

  test("read what lies in metadata, and only that", async () => {
    const inline = (text: string): MemoryNode => file(text, { modifiedNs: 1n });
    async function* all(): AsyncGenerator<VersionPoint> {
      yield point([], inline("one"));
      yield point([], inline("one"));
      yield point([], inline("two"));
    }
    const found = await collect(fileVersions(all(), { readData: false }, signal));
    expect(found.map(({ result, readBytes }) => [result, readBytes])).toEqual([
      ["first", 3],
      ["same", 3],
      ["maybe", 3],
    ]);
  });

  test("with their bytes are sure", async () => {
    const here = [extent(0, 1000, 0)];
    const holding = (letter: string, more: Partial<MemoryNode> = {}): MemoryNode =>
      lying(here, { failure: undefined, data: [{ offset: 0, content: Buffer.alloc(1000, letter) }], ...more });
    const points = [
      point(["a"], holding("x")),
      point(["b"], holding("x")),
      point(["c"], holding("y")),
      point(["d"], holding("y", { modifiedNs: 7n })),
      point(
        ["e"],
        lying(here, { failure: { at: 0, error: corrupt({ object: "chunks/ab", reason: "missing" }, "gone") } }),
      ),
    ];
    expect(await results(points, true)).toEqual(["first", "same", "changed", "same", "unreadable vault-corrupt"]);
  });

  test("say of each volume that was in use that what is compared may be old", async () => {
    const state = { kind: "dirty", note: "its log was not replayed" } as const;
    const fs = memoryFileSystem(directory({ f: link("g"), g: file("") }), { state });
    const inUse = (path: string) => opening(async () => ({ path, fs, device: device(["a"]) }));
    async function* all(): AsyncGenerator<VersionPoint> {
      yield inUse("/g");
      yield inUse("/");
    }
    const notes = (await collect(fileVersions(all(), { readData: false }, signal))).map(({ note }) => note);
    expect(notes).toEqual([
      "DIRTY, may be old or torn: its log was not replayed",
      "a directory: what is in it is not compared; DIRTY, may be old or torn: its log was not replayed",
    ]);
  });

  test("of links and folders are told by what they are", async () => {
    const here = [extent(0, 1, 0)];
    expect(
      await results([
        point(["a"], directory({})),
        point(["a"], directory({ more: file("") })),
        point(["a"], lying(here)),
        point(["a"], link("nowhere")),
        point(["a"], link("f")),
      ]),
    ).toEqual(["first", "same", "changed", "absent", "unreadable bad-input"]);
  });
});
