/** What every source of disks must do. The subject brings a VM of two disks and a way to change them. */
import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { attemptId } from "../../shared/core/ids.ts";
import type { DiskSnapshot } from "../../shared/core/run.ts";
import type { ProtectedVm } from "../../shared/core/vm.ts";
import type { ByteRange, DiskSource, SnapshotAttempt } from "../../shared/ports/disk-source.ts";
import { sampleRunId } from "../support/sample-rows.ts";
import { taken } from "../support/taken.ts";

export interface DiskSourceUnderTest {
  readonly source: DiskSource;
  /** Two disks of 4 MiB, without content. */
  readonly vm: ProtectedVm;
  write(disk: number, offset: number, content: Uint8Array): Promise<void>;
  clear(disk: number, offset: number, length: number): Promise<void>;
  /** Removes the disk and everything of it. */
  destroy(disk: number): Promise<void>;
  /** Whether its changed-page lists are right. */
  readonly diff: "exact" | "wrong";
}

export const testDiskBytes = 4 * 1024 * 1024;

export function diskSourceConformance(make: () => Promise<DiskSourceUnderTest>): void {
  const signal = AbortSignal.timeout(200_000);
  let subject: DiskSourceUnderTest;
  let runs = 0;
  let attempt: SnapshotAttempt;
  beforeEach(async () => {
    subject = await make();
    attempt = nextAttempt();
  });

  const nextAttempt = () => {
    const runId = sampleRunId(++runs);
    return { runId, attemptId: attemptId(runId, 1), wanted: "crash" as const };
  };
  const snapshot = async (of = attempt) => {
    const { disks } = await subject.source.inspect(subject.vm, signal);
    return taken(await subject.source.snapshot(subject.vm, disks, of, signal));
  };
  const first = (snapshots: readonly DiskSnapshot[]): DiskSnapshot => {
    const [snapshot] = snapshots;
    if (snapshot === undefined) throw new Error("There is no snapshot.");
    return snapshot;
  };
  const whole = { fromByte: 0, toByte: testDiskBytes };

  describe("A disk", () => {
    test("is seen with its size and an identity that stays", async () => {
      const [one, two] = (await subject.source.inspect(subject.vm, signal)).disks;
      await subject.write(0, 0, randomBytes(512));
      const again = (await subject.source.inspect(subject.vm, signal)).disks;
      expect(one).toMatchObject({ name: "os", role: "os", sizeBytes: testDiskBytes, logicalSectorSize: 512 });
      expect(again[0]?.identity).toBe(one?.identity);
      expect(two?.identity).not.toBe(one?.identity);
    });

    test("that is gone is not-found, named by its place", async () => {
      await subject.destroy(1);
      await expect(subject.source.inspect(subject.vm, signal)).rejects.toMatchObject({
        code: "not-found",
        message: expect.stringContaining("data"),
      });
    });
  });

  describe("A snapshot", () => {
    test("of all disks carries the attempt, and keeps what the disks held", async () => {
      const before = [randomBytes(512), randomBytes(1024)];
      await subject.write(0, 512, before[0] ?? Buffer.alloc(0));
      await subject.write(1, 4096, before[1] ?? Buffer.alloc(0));
      const snapshots = await snapshot();
      await subject.write(0, 512, randomBytes(512));
      await subject.clear(1, 4096, 1024);
      expect(snapshots.map(({ disk }) => disk)).toEqual(["os", "data"]);
      const read = async (n: number, offset: number, length: number) =>
        Buffer.from(await subject.source.read(snapshots[n]?.reference ?? {}, offset, length, signal));
      expect((await read(0, 512, 512)).equals(before[0] ?? Buffer.alloc(0))).toBe(true);
      expect((await read(1, 4096, 1024)).equals(before[1] ?? Buffer.alloc(0))).toBe(true);
      const now = Date.now();
      for (const { snapshotAt } of snapshots) expect(Math.abs(Date.parse(snapshotAt) - now)).toBeLessThan(60_000);
    });

    test("is listed with its ids and reference, until it is removed; removing it again is no error", async () => {
      const { runId, attemptId: id } = attempt;
      const snapshots = await snapshot();
      const listed = await subject.source.listSnapshots(subject.vm, signal);
      expect(listed.map(({ disk }) => disk).sort()).toEqual(["data", "os"]);
      expect(listed).toContainEqual({ runId, attemptId: id, disk: "os", reference: first(snapshots).reference });
      for (const { reference } of snapshots) {
        expect(await subject.source.snapshotExists(reference, signal)).toBe(true);
        await subject.source.removeSnapshot(reference, signal);
        await subject.source.removeSnapshot(reference, signal);
        expect(await subject.source.snapshotExists(reference, signal)).toBe(false);
      }
      expect(await subject.source.listSnapshots(subject.vm, signal)).toEqual([]);
    });

    test("of all disks fails as a whole where one is gone, and leaves none behind", async () => {
      const { disks } = await subject.source.inspect(subject.vm, signal);
      await subject.destroy(1);
      await expect(subject.source.snapshot(subject.vm, disks, attempt, signal)).rejects.toMatchObject({
        code: "snapshot-failed",
      });
      expect(await subject.source.listSnapshots(subject.vm, signal)).toEqual([]);
    });

    test("of one attempt is told from that of another, also where many are taken at once", async () => {
      const attempts = Array.from({ length: 8 }, nextAttempt);
      const sets = await Promise.all(attempts.map(snapshot));
      const references = sets.flat().map(({ disk, reference }) => JSON.stringify([disk, reference]));
      expect(new Set(references).size).toBe(16);
      const listed = await subject.source.listSnapshots(subject.vm, signal);
      for (const [i, { runId, attemptId: id }] of attempts.entries()) {
        for (const { disk, reference } of sets[i] ?? []) {
          expect(listed).toContainEqual({ runId, attemptId: id, disk, reference });
        }
      }
    });
  });

  describe("A read", () => {
    test("of any window gives exactly its bytes, zeros where nothing was written", async () => {
      const content = randomBytes(100 * 512);
      await subject.write(0, 64 * 512, content);
      const { reference } = first(await snapshot());
      const image = Buffer.alloc(testDiskBytes);
      content.copy(image, 64 * 512);
      for (const [offset, length] of [
        [0, testDiskBytes],
        [64 * 512 - 7, 20],
        [100_000, 1],
        [testDiskBytes - 5, 5],
        [17, 0],
      ] as const) {
        const read = await subject.source.read(reference, offset, length, signal);
        expect(Buffer.compare(read, image.subarray(offset, offset + length))).toBe(0);
      }
    });
  });

  describe("Ranges", () => {
    const all = async <T>(ranges: AsyncIterable<T>): Promise<T[]> => {
      const found: T[] = [];
      for await (const range of ranges) found.push(range);
      return found;
    };

    test("that may hold data cover every byte that was written, in order and inside the window", async () => {
      for (let n = 0; n < 40; n++) await subject.write(0, n * 4 * 4096, randomBytes(4096));
      for (let n = 0; n < 8; n++) await subject.write(0, 1_048_576 + n * 512, randomBytes(512));
      const { reference } = first(await snapshot());
      const window = { fromByte: 4 * 4096 + 1024, toByte: 1_048_576 + 3 * 512 };
      for (const [{ fromByte, toByte }, ranges] of [
        [whole, await all(subject.source.allocatedRanges(reference, whole, signal))],
        [window, await all(subject.source.allocatedRanges(reference, window, signal))],
      ] as const) {
        expectOrdered(ranges, fromByte, toByte);
        for (let n = 0; n < 40; n++) expectCovered(ranges, n * 4 * 4096, 4096, fromByte, toByte);
        expectCovered(ranges, 1_048_576, 8 * 512, fromByte, toByte);
      }
      // Pages that touch come as one range.
      const touching = await all(
        subject.source.allocatedRanges(reference, { fromByte: 1_048_576, toByte: testDiskBytes }, signal),
      );
      expect(touching).toEqual([{ offset: 1_048_576, length: 8 * 512 }]);
    });

    test("of a disk without content are none", async () => {
      const { reference } = first(await snapshot());
      expect(await all(subject.source.allocatedRanges(reference, whole, signal))).toEqual([]);
    });

    test("that changed are believed only where the probe found them exact, and the probe leaves nothing behind", async () => {
      const { reference } = first(await snapshot());
      const found = await subject.source.probeDiff(reference, signal);
      expect(found).toMatchObject({ diff: subject.diff });
      expect(found.note === undefined).toBe(subject.diff === "exact");
      expect(subject.source.accountOf(reference)).not.toBe("");
      expect((await subject.source.listSnapshots(subject.vm, signal)).length).toBe(2);
    });

    test("that changed cover every change; where they are exact, they are the changes", async () => {
      await subject.write(0, 0, Buffer.alloc(65_536, 1));
      await subject.write(0, 1_048_576, Buffer.alloc(65_536, 1));
      const parent = first(await snapshot());
      await subject.write(0, 4096, Buffer.alloc(4096, 2));
      await subject.clear(0, 1_048_576 + 4096, 4096);
      await subject.write(0, 2_097_152, Buffer.alloc(4096, 3));
      const child = first(await snapshot(nextAttempt()));
      const ranges = await all(subject.source.changedRanges(child.reference, parent.reference, whole, signal));
      expectOrdered(ranges, 0, testDiskBytes);
      expectCovered(ranges, 4096, 4096, 0, testDiskBytes);
      expectCovered(ranges, 2_097_152, 4096, 0, testDiskBytes);
      const exactly = [
        { kind: "data", offset: 4096, length: 4096 },
        { kind: "zero", offset: 1_048_576 + 4096, length: 4096 },
        { kind: "data", offset: 2_097_152, length: 4096 },
      ];
      expect(subject.diff === "exact" ? ranges : exactly).toEqual(exactly);
    });
  });
}

function expectOrdered(ranges: readonly ByteRange[], fromByte: number, toByte: number): void {
  let end = fromByte;
  for (const { offset, length } of ranges) {
    expect(offset).toBeGreaterThanOrEqual(end);
    expect(length).toBeGreaterThan(0);
    end = offset + length;
  }
  expect(end).toBeLessThanOrEqual(toByte);
}

function expectCovered(ranges: readonly ByteRange[], from: number, length: number, fromByte: number, toByte: number) {
  for (let at = Math.max(from, fromByte); at < Math.min(from + length, toByte); at += 512) {
    expect(ranges.some((range) => range.offset <= at && at < range.offset + range.length)).toBe(true);
  }
}
