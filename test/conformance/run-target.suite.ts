/** What the targets of the service's runs must do besides what every target does. */
import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { parseDiskName } from "../../shared/core/ids.ts";
import type { TargetDisk } from "../../shared/ports/disk-target.ts";
import type { RunTarget } from "../../shared/ports/run-target.ts";
import { sampleRunId } from "../support/sample-rows.ts";

export interface RunTargetUnderTest {
  readonly target: RunTarget;
  /** A place of its own for each test, as `locate` takes it. */
  readonly place: string;
  /** What stands there as others see it: its bytes (without a footer, where one is there); undefined where there is nothing. */
  standing(disk: TargetDisk): Promise<Buffer | undefined>;
  /** Somebody puts a disk there. */
  occupy(disk: TargetDisk, content: Buffer): Promise<void>;
  /** Somebody uses what stands there, from now on or not any more. */
  use(disk: TargetDisk, inUse: boolean): Promise<void>;
  /** How many things are kept for it. */
  keptAt(disk: TargetDisk): Promise<number>;
}

export function runTargetConformance(make: () => Promise<RunTargetUnderTest>): void {
  const signal = AbortSignal.timeout(200_000);
  const [run, other] = [sampleRunId(1), sampleRunId(2)];
  const mib = 1024 * 1024;
  let subject: RunTargetUnderTest;
  let target: RunTarget;
  let disk: TargetDisk;
  beforeEach(async () => {
    subject = await make();
    target = subject.target;
    const name = parseDiskName("os");
    disk = { name, sizeBytes: 2 * mib, url: target.locate(subject.place, name) };
  });
  const begin = async (sizeBytes = mib): Promise<Buffer> => {
    const before = randomBytes(sizeBytes);
    await subject.occupy(disk, before);
    expect(await target.replace(disk, run, signal)).toContain(disk.url);
    await target.write(disk, run, 0, Buffer.alloc(4096, 1), signal);
    return before;
  };

  describe("Replacing what stands there", () => {
    test("where nothing does is beginning as always", async () => {
      expect(await target.replace(disk, run, signal)).toBeUndefined();
      await target.takeBack(disk, run, signal);
      expect(await subject.standing(disk)).toBeUndefined();
    });

    test("ends in the new disk, and nothing is kept any more", async () => {
      await begin();
      await target.check(disk, run, signal);
      await target.finish(disk, run, signal);
      await target.release(disk, run, signal);
      await target.release(disk, run, signal);
      const image = await subject.standing(disk);
      expect(image?.length).toBe(2 * mib);
      expect(image?.subarray(0, 8192)).toEqual(Buffer.concat([Buffer.alloc(4096, 1), Buffer.alloc(4096)]));
      expect(await subject.keptAt(disk)).toBe(0);
    });

    test.each([
      ["before its end", false],
      ["after its end", true],
    ])("is undone %s: byte for byte, once or twice", async (_, finished) => {
      const before = await begin();
      if (finished) await target.finish(disk, run, signal);
      await target.takeBack(disk, run, signal);
      await target.takeBack(disk, run, signal);
      expect((await subject.standing(disk))?.equals(before)).toBe(true);
      expect(await subject.keptAt(disk)).toBe(0);
      // A late write of the run changes nothing, and its place is somebody else's again.
      await expect(target.write(disk, run, 0, Buffer.alloc(512, 9), signal)).rejects.toMatchObject({
        code: expect.stringMatching(/^(target-exists|not-found)$/),
      });
      expect((await subject.standing(disk))?.equals(before)).toBe(true);
      await expect(target.prepare(disk, other, signal)).rejects.toMatchObject({ code: "target-exists" });
    });

    test("is gone on with by its own run, which keeps what it kept first", async () => {
      const before = await begin();
      const kept = await target.replace(disk, run, signal);
      expect(kept).toContain(disk.url);
      await target.discard(disk, run, signal);
      expect((await subject.standing(disk))?.equals(before)).toBe(true);
    });

    test("by many deliveries at once keeps what stood there", async () => {
      const before = randomBytes(mib);
      await subject.occupy(disk, before);
      await Promise.allSettled([1, 2, 3, 4].map(() => target.replace(disk, run, signal)));
      await target.replace(disk, run, signal);
      await target.takeBack(disk, run, signal);
      expect((await subject.standing(disk))?.equals(before)).toBe(true);
      expect(await subject.keptAt(disk)).toBe(0);
    });

    test("of what another run is at, or what somebody uses, is refused and changes nothing", async () => {
      await target.prepare(disk, other, signal);
      await expect(target.replace(disk, run, signal)).rejects.toMatchObject({ code: "target-exists" });
      await target.discard(disk, other, signal);
      const before = randomBytes(mib);
      await subject.occupy(disk, before);
      await subject.use(disk, true);
      await expect(target.replace(disk, run, signal)).rejects.toMatchObject({ code: "refused" });
      await target.takeBack(disk, run, signal);
      await subject.use(disk, false);
      expect((await subject.standing(disk))?.equals(before)).toBe(true);
      expect(await subject.keptAt(disk)).toBe(0);
    });

    test("cannot be begun again by a run that has finished it", async () => {
      await begin();
      await target.finish(disk, run, signal);
      await expect(target.replace(disk, run, signal)).rejects.toMatchObject({ code: "target-exists" });
    });
  });

  describe("A disk that its run takes back", () => {
    test("after its end is gone, once or twice; that of another run stays", async () => {
      await target.prepare(disk, run, signal);
      await target.finish(disk, run, signal);
      await target.takeBack(disk, other, signal);
      expect(await subject.standing(disk)).toBeDefined();
      await target.takeBack(disk, run, signal);
      await target.takeBack(disk, run, signal);
      expect(await subject.standing(disk)).toBeUndefined();
    });

    test("stays where somebody uses it already, and says so", async () => {
      await target.prepare(disk, run, signal);
      await target.finish(disk, run, signal);
      await subject.use(disk, true);
      await expect(target.takeBack(disk, run, signal)).rejects.toMatchObject({ code: "in-use" });
      await subject.use(disk, false);
      expect(await subject.standing(disk)).toBeDefined();
    });
  });

  test("A look before the end finds a target that is gone, or another run's", async () => {
    await expect(target.check(disk, run, signal)).rejects.toMatchObject({ code: "not-found" });
    await target.prepare(disk, run, signal);
    await target.check(disk, run, signal);
    await expect(target.check(disk, other, signal)).rejects.toMatchObject({ code: "target-exists" });
    await target.takeBack(disk, run, signal);
  });
}
