/** What every target of a restore must do. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hasCode } from "../../shared/core/errors.ts";
import { parseDiskName, type DiskName } from "../../shared/core/ids.ts";
import type { DiskTarget, TargetDisk } from "../../shared/ports/disk-target.ts";
import { sampleRunId } from "../support/sample-rows.ts";

export interface DiskTargetUnderTest {
  readonly target: DiskTarget;
  /** A place of its own for each test, as `locate` takes it. */
  readonly place: string;
  /** The disk's bytes if there stands what others take for a disk, else undefined. */
  finished(disk: TargetDisk): Promise<Buffer | undefined>;
}

export function diskTargetConformance(make: () => Promise<DiskTargetUnderTest>): void {
  const signal = AbortSignal.timeout(200_000);
  const [run, other] = [sampleRunId(1), sampleRunId(2)];
  const mib = 1024 * 1024;
  let subject: DiskTargetUnderTest;
  let target: DiskTarget;
  beforeEach(async () => {
    subject = await make();
    target = subject.target;
  });
  let used: TargetDisk[] = [];
  afterEach(async () => {
    const runs = Array.from({ length: 20 }, (_, n) => sampleRunId(n));
    for (const disk of used) for (const runId of runs) await target.discard(disk, runId, signal);
    used = [];
  });
  const diskOf = (name = "os", sizeBytes = 6 * mib): TargetDisk => {
    const disk: DiskName = parseDiskName(name);
    used.push({ name: disk, sizeBytes, url: target.locate(subject.place, disk) });
    return { name: disk, sizeBytes, url: target.locate(subject.place, disk) };
  };

  describe("A restored disk", () => {
    test("holds what was written, in whatever order, and zeros elsewhere", async () => {
      const disk = diskOf();
      const image = Buffer.alloc(disk.sizeBytes);
      await target.prepare(disk, run, signal);
      const pieces = [
        { offset: 5 * mib, content: randomBytes(mib) },
        { offset: 512, content: randomBytes(512) },
        { offset: mib, content: Buffer.concat([Buffer.alloc(5000), randomBytes(100_000), Buffer.alloc(3224)]) },
        { offset: 2 * mib, content: Buffer.alloc(mib) },
        { offset: 4 * mib, content: Buffer.concat([Buffer.alloc(1023), Buffer.from([1])]) },
      ];
      for (const { offset, content } of pieces) {
        content.copy(image, offset);
        await target.write(disk, run, offset, content, signal);
      }
      await target.finish(disk, run, signal);
      expect((await subject.finished(disk))?.equals(image)).toBe(true);
    });

    test("takes writes of more than 4 MiB, and many at once", async () => {
      const disk = diskOf("big", 24 * mib);
      const image = randomBytes(disk.sizeBytes);
      await target.prepare(disk, run, signal);
      await Promise.all(
        [0, 1, 2].map((n) =>
          target.write(disk, run, n * 8 * mib, image.subarray(n * 8 * mib, (n + 1) * 8 * mib), signal),
        ),
      );
      await target.finish(disk, run, signal);
      expect((await subject.finished(disk))?.equals(image)).toBe(true);
    });

    test("of a size that is no multiple of 512 keeps its last bytes", async () => {
      const disk = diskOf("odd", 10_000);
      const image = randomBytes(10_000);
      await target.prepare(disk, run, signal);
      await target.write(disk, run, 0, image.subarray(0, 8192), signal);
      await target.write(disk, run, 8192, image.subarray(8192), signal);
      await target.finish(disk, run, signal);
      expect((await subject.finished(disk))?.subarray(0, 10_000).equals(image)).toBe(true);
    });

    test("refuses a write that does not fit it", async () => {
      const disk = diskOf();
      await target.prepare(disk, run, signal);
      await expect(target.write(disk, run, disk.sizeBytes - 512, Buffer.alloc(1024, 1), signal)).rejects.toThrow(/fit/);
      await expect(target.write(disk, run, 100, Buffer.alloc(512, 1), signal)).rejects.toThrow(/fit/);
    });
  });

  describe("Unfinished work", () => {
    test("is nothing that anybody takes for a disk, until it is finished", async () => {
      const disk = diskOf();
      expect(await target.isTaken(disk, run, signal)).toBe(false);
      await target.prepare(disk, run, signal);
      await target.write(disk, run, 0, Buffer.alloc(512, 7), signal);
      expect(await subject.finished(disk)).toBeUndefined();
      await target.finish(disk, run, signal);
      expect((await subject.finished(disk))?.[0]).toBe(7);
    });

    test("is gone on with by its own run, which loses nothing by preparing it again", async () => {
      const disk = diskOf();
      await target.prepare(disk, run, signal);
      await target.write(disk, run, 0, Buffer.alloc(512, 7), signal);
      expect(await target.isTaken(disk, run, signal)).toBe(false);
      await target.prepare(disk, run, signal);
      await target.finish(disk, run, signal);
      expect((await subject.finished(disk))?.[0]).toBe(7);
    });

    test("is closed to every other run", async () => {
      const disk = diskOf();
      await target.prepare(disk, run, signal);
      expect(await target.isTaken(disk, other, signal)).toBe(true);
      await expect(target.prepare(disk, other, signal)).rejects.toMatchObject({ code: "target-exists" });
      await expect(target.write(disk, other, 0, Buffer.alloc(512, 9), signal)).rejects.toMatchObject({
        code: "target-exists",
      });
      await expect(target.finish(disk, other, signal)).rejects.toMatchObject({ code: "target-exists" });
      await target.discard(disk, other, signal);
      await target.finish(disk, run, signal);
      expect((await subject.finished(disk))?.[0]).toBe(0);
    });

    test("is removed by its own run, once or twice, and then the place is free", async () => {
      const disk = diskOf();
      await target.discard(disk, run, signal);
      await target.prepare(disk, run, signal);
      await target.discard(disk, run, signal);
      await target.discard(disk, run, signal);
      expect(await target.isTaken(disk, other, signal)).toBe(false);
    });

    test("of a run that begins after another was discarded is not reached by a late write of that one", async () => {
      const disk = diskOf();
      await target.prepare(disk, run, signal);
      await target.discard(disk, run, signal);
      await target.prepare(disk, other, signal);
      await expect(target.write(disk, run, 0, Buffer.alloc(512, 9), signal)).rejects.toMatchObject({
        code: "target-exists",
      });
      await target.finish(disk, other, signal);
      expect((await subject.finished(disk))?.[0]).toBe(0);
    });

    test("of many runs at one place is begun by exactly one of them", async () => {
      const disk = diskOf();
      const runs = Array.from({ length: 8 }, (_, n) => sampleRunId(10 + n));
      const answers = await Promise.allSettled(runs.map((runId) => target.prepare(disk, runId, signal)));
      expect(answers.filter((answer) => answer.status === "fulfilled").length).toBe(1);
    });
  });

  describe("A finished disk", () => {
    test("is taken, is not overwritten, not discarded and not written any more, also by its own run", async () => {
      const disk = diskOf();
      await target.prepare(disk, run, signal);
      await target.write(disk, run, 0, Buffer.alloc(512, 7), signal);
      await target.finish(disk, run, signal);
      for (const runId of [run, other]) {
        expect(await target.isTaken(disk, runId, signal)).toBe(true);
        await expect(target.prepare(disk, runId, signal)).rejects.toMatchObject({ code: "target-exists" });
        await expect(target.write(disk, runId, 0, Buffer.alloc(512, 9), signal)).rejects.toMatchObject({
          code: "target-exists",
        });
        await target.discard(disk, runId, signal);
      }
      expect((await subject.finished(disk))?.[0]).toBe(7);
    });

    test("may be finished again by its own run, which changes nothing", async () => {
      const disk = diskOf();
      await target.prepare(disk, run, signal);
      await Promise.all([target.finish(disk, run, signal), target.finish(disk, run, signal)].map(orConflict));
      await target.finish(disk, run, signal);
      const first = await subject.finished(disk);
      await target.finish(disk, run, signal);
      expect((await subject.finished(disk))?.equals(first ?? Buffer.alloc(0))).toBe(true);
    });
  });

  /** Two deliveries at once: one may be told that the other was faster, and is delivered again. */
  async function orConflict(step: Promise<void>): Promise<void> {
    await step.catch((error: unknown) => {
      if (!hasCode(error, "conflict")) throw error;
    });
  }
}
