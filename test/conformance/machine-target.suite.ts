/** What every platform that makes disks and VMs of restore points must do. */
import { beforeEach, describe, expect, test } from "vitest";
import type { RunId } from "../../shared/core/ids.ts";
import type { MachineTargetSpec, MadeResource } from "../../shared/core/machine-restore.ts";
import type { MachineDisk, MachineRestore, MachineTarget } from "../../shared/ports/machine-target.ts";
import { sampleRunId } from "../support/sample-rows.ts";

export interface MachineTargetUnderTest {
  /** Each time another process: it knows nothing of what the one before remembers. */
  readonly target: () => MachineTarget;
  /** For each test: managed disks and a new VM beside the one that stands, and an exchange that may stop it. */
  readonly targets: readonly MachineTargetSpec[];
  /** Of the two disks of a VM that stands and runs, without their places. */
  readonly restore: (runId: RunId, target: MachineTargetSpec) => Promise<MachineRestore>;
  /** Lets time pass. What has come to its end by then shows. */
  readonly pass: (ms: number) => Promise<void>;
  /** All that is there, by ids in lower case, in order. */
  readonly ids: () => readonly string[];
  readonly vm: () => Promise<{ readonly disks: readonly (string | undefined)[]; readonly running: boolean }>;
  readonly content: (id: string, offset: number, length: number) => Promise<Uint8Array>;
}

type Phase = "prepare" | "finish";

const mostLooks = 200;
const hourMs = 3_600_000;

export function machineTargetConformance(make: () => Promise<MachineTargetUnderTest>): void {
  const signal = AbortSignal.timeout(200_000);
  const [run, other] = [sampleRunId(1), sampleRunId(2)];
  let subject: MachineTargetUnderTest;
  beforeEach(async () => {
    subject = await make();
  });

  function specOf(kind: MachineTargetSpec["kind"]): MachineTargetSpec {
    const found = subject.targets.find((one) => one.kind === kind);
    if (found === undefined) throw new Error(`There is no target ${kind}.`);
    return found;
  }

  async function planned(kind: MachineTargetSpec["kind"], runId: RunId = run): Promise<MachineRestore> {
    const restore = await subject.restore(runId, specOf(kind));
    const { disks } = await subject.target().preflight(restore, signal);
    expect(disks).toHaveLength(restore.disks.length);
    return { ...restore, disks: restore.disks.map((disk, number) => ({ ...disk, url: disks[number] ?? "" })) };
  }

  /** `looks`: stop after so many, also where it is not done. */
  async function driven(phase: Phase, restore: MachineRestore, looks = mostLooks) {
    let operation: string | undefined;
    for (let look = 0; look < looks; look++) {
      const progress = await subject.target()[phase](restore, operation, signal);
      if (progress.kind === "done") return progress;
      expect(progress.operation).not.toMatch(/sig=/);
      ({ operation } = progress);
      await subject.pass(progress.retryAfterMs);
    }
    return undefined;
  }

  async function done(phase: Phase, restore: MachineRestore): Promise<readonly MadeResource[]> {
    const progress = await driven(phase, restore);
    if (progress === undefined) throw new Error(`${phase} does not end.`);
    return progress.made;
  }

  async function takenBack(restore: MachineRestore): Promise<readonly string[]> {
    const target = subject.target();
    for (let look = 0; look < mostLooks; look++) {
      const taken = await target.takeBack(restore, signal);
      if (taken.kind === "gone") return taken.left;
      await subject.pass(taken.retryAfterMs);
    }
    throw new Error("takeBack does not end.");
  }

  function firstOf({ disks: [first] }: MachineRestore): MachineDisk {
    if (first === undefined) throw new Error("There is no disk.");
    return first;
  }

  test("A preflight makes nothing, and names the same places when it is asked again", async () => {
    for (const { kind } of subject.targets) {
      const before = subject.ids();
      const places = (await planned(kind)).disks.map(({ url }) => url);
      expect((await planned(kind)).disks.map(({ url }) => url)).toEqual(places);
      expect(new Set(places).size).toBe(places.length);
      expect(subject.ids()).toEqual(before);
    }
  });

  test("A disk holds what was written and zeros elsewhere; what is done is done also when it is asked for again", async () => {
    const restore = await planned("managed-disks");
    const made = await done("prepare", restore);
    expect(made).toEqual(restore.disks.map(({ url }) => ({ kind: "disk", id: url })));
    expect(await done("prepare", restore)).toEqual(made);
    const disk = firstOf(restore);
    const { url = "", sizeBytes } = disk;
    for (const [offset, byte] of [
      [8192, 1],
      [sizeBytes - 512, 2],
    ] as const) {
      const content = new Uint8Array(512).fill(byte);
      // Twice: a step may be delivered again.
      for (let time = 0; time < 2; time++) await subject.target().write(disk, run, offset, content, signal);
    }
    const finished = await driven("finish", restore);
    expect(await driven("finish", restore)).toEqual(finished);
    expect(await subject.content(url, 8192, 1024)).toEqual(new Uint8Array(1024).fill(1, 0, 512));
    expect(await subject.content(url, sizeBytes - 512, 512)).toEqual(new Uint8Array(512).fill(2));
    await expect(subject.target().write(disk, run, sizeBytes - 512, new Uint8Array(1024), signal)).rejects.toThrow(
      /fit/,
    );
  });

  test("Asked by two at once, each phase comes to the same end", async () => {
    const before = subject.ids();
    const restore = await planned("managed-vm");
    for (const phase of ["prepare", "finish"] as const) {
      const ends = await Promise.allSettled([done(phase, restore), done(phase, restore)]);
      // One may be refused while the other is at work; whoever asks again gets the same.
      expect(ends.map(({ status }) => status)).toContain("fulfilled");
      await done(phase, restore);
    }
    expect(await takenBack(restore)).toEqual([]);
    await subject.pass(hourMs);
    expect(subject.ids()).toEqual(before);
  });

  describe("A write", () => {
    const refused = { code: expect.stringMatching(/^(?:target-exists|not-found|refused)$/) as string };
    const write = (disk: MachineDisk, runId: RunId) =>
      subject.target().write(disk, runId, 0, new Uint8Array(512).fill(7), signal);

    test("is refused before the disk is made, of another run, after it is finished, and after it was taken back", async () => {
      const restore = await planned("managed-disks");
      const disk = firstOf(restore);
      await expect(write(disk, run)).rejects.toMatchObject(refused);
      await done("prepare", restore);
      await expect(write(disk, other)).rejects.toMatchObject(refused);
      await done("finish", restore);
      await expect(write(disk, run)).rejects.toMatchObject(refused);
      expect(await subject.content(disk.url ?? "", 0, 512)).toEqual(new Uint8Array(512));
      await takenBack(restore);
      await subject.pass(hourMs);
      await expect(write(disk, run)).rejects.toMatchObject(refused);
    });
  });

  describe("What another run has made", () => {
    test("is not made anew, and not taken back", async () => {
      const mine = await planned("managed-vm");
      await done("prepare", mine);
      await done("finish", mine);
      const before = subject.ids();
      const theirs = { ...mine, runId: other };
      const exists = { code: "target-exists" };
      await expect(planned("managed-vm", other)).rejects.toMatchObject(exists);
      await expect(subject.target().prepare(theirs, undefined, signal)).rejects.toMatchObject(exists);
      await takenBack(theirs);
      await subject.pass(hourMs);
      expect(subject.ids()).toEqual(before);
    });
  });

  describe("An exchange", () => {
    test("gives a running VM its restored disks and starts it again; the former ones stay", async () => {
      const before = await subject.vm();
      const restore = await planned("swap-disks");
      await done("prepare", restore);
      const made = await done("finish", restore);
      const places = restore.disks.map(({ url }) => url?.toLowerCase());
      expect(await subject.vm()).toEqual({ disks: places, running: true });
      const detached = made.filter(({ kind }) => kind === "detached-disk").map(({ id }) => id.toLowerCase());
      expect(detached).toEqual(before.disks);
      expect(subject.ids()).toEqual(expect.arrayContaining(detached));
    });

    test("of a running VM that may not be stopped is refused", async () => {
      const restore = await subject.restore(run, { kind: "swap-disks", mayStop: false });
      await expect(subject.target().preflight(restore, signal)).rejects.toMatchObject({ code: "in-use" });
    });
  });

  describe("Taking back, after any look of any phase,", () => {
    test.each(["managed-disks", "managed-vm", "swap-disks"] as const)(
      "leaves nothing, and a VM with its former disks that runs as it ran: %s",
      async (kind) => {
        for (const phase of ["prepare", "finish"] as const) {
          for (let looks = 0; ; looks++) {
            const before = subject.ids();
            const stood = await subject.vm();
            const restore = await planned(kind);
            if (phase === "finish") await done("prepare", restore);
            const isDone = (await driven(phase, restore, looks)) !== undefined;
            expect(await takenBack(restore)).toEqual([]);
            // Twice: the reconciler may ask once more.
            expect(await takenBack(restore)).toEqual([]);
            await subject.pass(hourMs);
            expect(await subject.vm()).toEqual(stood);
            expect(subject.ids()).toEqual(before);
            if (isDone) break;
          }
        }
      },
    );
  });
}
