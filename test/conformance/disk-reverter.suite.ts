/** What everything that writes into a VM's own disks must do. */
import { beforeEach, describe, expect, test } from "vitest";
import type { DiskReverter, HeldDisk } from "../../shared/ports/disk-reverter.ts";
import { sampleRunId } from "../support/sample-rows.ts";

export interface DiskReverterUnderTest {
  readonly reverter: DiskReverter;
  /** A disk of its own for each test, of 1 MiB, full of sevens. */
  readonly disk: HeldDisk;
  content(): Promise<Buffer>;
  contentOf(reference: Readonly<Record<string, string>>): Promise<Buffer>;
  /** A machine runs on the disk, from now on or not any more. */
  use(inUse: boolean): Promise<void>;
  /** How many safety snapshots the disk has. */
  snapshots(): Promise<number>;
}

export function diskReverterConformance(make: () => Promise<DiskReverterUnderTest>): void {
  const signal = AbortSignal.timeout(200_000);
  const [run, other] = [sampleRunId(1), sampleRunId(2)];
  const mib = 1024 * 1024;
  let subject: DiskReverterUnderTest;
  let reverter: DiskReverter;
  let disk: HeldDisk;
  beforeEach(async () => {
    subject = await make();
    ({ reverter, disk } = subject);
  });

  test("Writes and clears what it is told to, and nothing else", async () => {
    const image = Buffer.alloc(mib, 7);
    await reverter.hold(disk, run, signal);
    await reverter.write(disk, run, 8192, Buffer.alloc(4096, 1), signal);
    await reverter.write(disk, run, mib - 512, Buffer.alloc(512, 2), signal);
    await reverter.clear(disk, run, 65_536, 8192, signal);
    await reverter.letGo(disk, run, signal);
    image
      .fill(1, 8192, 12_288)
      .fill(2, mib - 512)
      .fill(0, 65_536, 65_536 + 8192);
    expect((await subject.content()).equals(image)).toBe(true);
    await expect(reverter.write(disk, run, mib - 512, Buffer.alloc(1024), signal)).rejects.toThrow(/fit/);
  });

  describe("A disk that a run holds", () => {
    test("is held by all its deliveries, and by nobody else", async () => {
      await Promise.all([1, 2, 3].map(async () => reverter.hold(disk, run, signal)));
      expect(await reverter.isInUse(disk, run, signal)).toBe(false);
      expect(await reverter.isInUse(disk, other, signal)).toBe(true);
      await expect(reverter.hold(disk, other, signal)).rejects.toMatchObject({ code: "refused" });
      await expect(reverter.write(disk, other, 0, Buffer.alloc(512), signal)).rejects.toMatchObject({
        code: "refused",
      });
      await reverter.letGo(disk, other, signal);
      await reverter.write(disk, run, 0, Buffer.alloc(512, 1), signal);
      await reverter.letGo(disk, run, signal);
      await reverter.letGo(disk, run, signal);
      expect(await reverter.isInUse(disk, other, signal)).toBe(false);
    });

    test("takes no late write of a run that has let it go", async () => {
      await reverter.hold(disk, run, signal);
      await reverter.letGo(disk, run, signal);
      await expect(reverter.write(disk, run, 0, Buffer.alloc(512), signal)).rejects.toMatchObject({ code: "refused" });
      await expect(reverter.clear(disk, run, 0, 512, signal)).rejects.toMatchObject({ code: "refused" });
      await reverter.hold(disk, other, signal);
      await expect(reverter.write(disk, run, 0, Buffer.alloc(512), signal)).rejects.toMatchObject({ code: "refused" });
      await reverter.letGo(disk, other, signal);
      expect((await subject.content()).equals(Buffer.alloc(mib, 7))).toBe(true);
    });

    test("is not one that a machine runs on", async () => {
      await subject.use(true);
      expect(await reverter.isInUse(disk, run, signal)).toBe(true);
      await expect(reverter.hold(disk, run, signal)).rejects.toMatchObject({ code: "refused" });
      await reverter.letGo(disk, run, signal);
      expect(await reverter.isInUse(disk, run, signal)).toBe(true);
      await subject.use(false);
      expect(await reverter.isInUse(disk, run, signal)).toBe(false);
    });
  });

  describe("The safety snapshot", () => {
    test("is the one from before the first write, however often it is asked for", async () => {
      await reverter.hold(disk, run, signal);
      const kept = await reverter.keep(disk, run, signal);
      await reverter.write(disk, run, 0, Buffer.alloc(4096, 1), signal);
      expect(await reverter.keep(disk, run, signal)).toEqual(kept);
      expect(kept.disk).toBe(disk.name);
      expect(kept.wayBack).toContain(kept.snapshot);
      expect((await subject.contentOf(kept.reference)).equals(Buffer.alloc(mib, 7))).toBe(true);
      await reverter.letGo(disk, run, signal);
    });

    test("stays when the run's others go, and goes only with its own run", async () => {
      const kept = await reverter.keep(disk, run, signal);
      await reverter.keep(disk, other, signal);
      await reverter.dropKept(disk, run, kept, signal);
      expect(await subject.snapshots()).toBe(2);
      await reverter.dropKept(disk, other, undefined, signal);
      await reverter.dropKept(disk, other, undefined, signal);
      expect(await subject.snapshots()).toBe(1);
      await reverter.dropKept(disk, run, undefined, signal);
      expect(await subject.snapshots()).toBe(0);
    });
  });
}
