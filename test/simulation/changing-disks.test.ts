import { describe, expect, test } from "vitest";
import { parseVmName } from "../../shared/core/ids.ts";
import { objectName } from "../../shared/core/vault/object-id.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { newestRestorePoint } from "../../shared/operations/vault/list-restore-points.ts";
import { readDiskIndex } from "../../shared/operations/vault/read-disk.ts";
import { vmIdOf } from "../../shared/core/vm.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { Process } from "../support/simulation/process.ts";
import { chunkSizeBytes, diskUrl, minuteMs, World } from "../support/simulation/world.ts";
import { requireSource } from "../../shared/core/vm.ts";

const mib = 1024 * 1024;
const web = parseVmName("web");

async function backedUp(disks: Readonly<Record<string, number>>): Promise<World> {
  const world = await World.create();
  await world.addPolicy("standard");
  await world.addVm("web", { disks });
  for (const disk of Object.keys(disks)) world.scribble("web", disk, 0, 6000);
  await world.backUp("web");
  world.clock.advance(minuteMs);
  return world;
}

describe("Between two backups a disk", () => {
  test("that grows stays incremental, and its last chunk and segment are right", async () => {
    for (const before of [mib, 2 * mib + 512, 300 * mib + 5120]) {
      const world = await backedUp({ os: before });
      world.scribble("web", "os", before - 512, 512);
      await world.backUp("web");
      world.clock.advance(minuteMs);
      world.source.resizeDisk(diskUrl("web", "os"), before + 400 * mib + 1024);
      const run = await world.backUp("web");
      expect(run).toMatchObject({ state: "succeeded", disks: [{ mode: "incremental", method: "diff" }] });
      expect(await breaches(world)).toEqual([]);
    }
  });

  test("that shrinks, or is replaced under its name, is copied in full", async () => {
    const world = await backedUp({ os: 2 * mib, data: 2 * mib });
    world.source.resizeDisk(diskUrl("web", "os"), mib);
    world.source.addDisk(diskUrl("web", "data"), 2 * mib);
    const run = await world.backUp("web");
    expect(run).toMatchObject({ disks: [{ mode: "full" }, { mode: "full" }] });
    expect(await breaches(world)).toEqual([]);
  });

  test("that was taken out of the VM's settings is not in the next point, and one that was added is full", async () => {
    const world = await backedUp({ os: mib, data: mib });
    const stored = await world.catalog.vms.get(web, world.signal);
    const other = await world.addVm("other", { disks: { extra: mib } });
    if (stored === undefined) throw new Error("The VM is gone.");
    const before = requireSource(stored.value, "page-blob");
    const [os, [extra]] = [before.disks[0], requireSource(other, "page-blob").disks];
    if (os === undefined || extra === undefined) throw new Error("The VM has no disks.");
    const source = { ...before, disks: [os, { ...extra, lun: 7 }] };
    await world.catalog.vms.replace(stored, { ...stored.value, source }, world.signal);
    const run = await world.backUp("web");
    expect(run).toMatchObject({
      disks: [
        { name: "os", mode: "incremental" },
        { name: "extra", mode: "full" },
      ],
    });
    // The snapshot on the disk that is the VM's no longer is removed too, though the settings do not name it any more.
    expect(await breaches(world)).toEqual([]);
  });

  test("that is gone makes the run fail with its name, and the other snapshots stay as they are", async () => {
    const world = await backedUp({ os: mib, data: mib });
    world.source.removeDisk(diskUrl("web", "data"));
    const run = await world.backUp("web");
    expect(run).toMatchObject({ state: "failed", attempt: 1, error: { code: "not-found" } });
    expect(run).toHaveProperty("error.message", expect.stringContaining("web/data.vhd"));
    expect(await breaches(world)).toEqual([]);
  });

  test("whose snapshot somebody removed is copied in full", async () => {
    const world = await backedUp({ os: mib });
    const point = await newestRestorePoint(world.vault, vmIdOf(web), world.signal);
    for (const disk of point?.manifest.disks ?? []) await world.source.removeSnapshot(disk.snapshot, world.signal);
    const run = await world.backUp("web");
    expect(run).toMatchObject({ disks: [{ mode: "full", newChunks: 0 }] });
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A list of changed pages", () => {
  test("that is the emulator's is found out by the probe, and every allocated chunk is compared", async () => {
    const world = await backedUp({ os: 4 * mib });
    world.source.diff = { kind: "everything" };
    world.source.clear(diskUrl("web", "os"), 0, 8192);
    world.scribble("web", "os", 3 * mib);
    const run = await world.backUp("web");
    expect(run).toMatchObject({ disks: [{ mode: "incremental", method: "compare", newChunks: 1 }] });
    expect(run).toMatchObject({ disks: [{ changedBytes: 2 * chunkSizeBytes }] });
    expect(await breaches(world)).toEqual([]);
    const account = (await world.catalog.sourceAccounts.get("source.example", world.signal))?.value;
    expect(account).toMatchObject({ diff: "wrong", foundBy: "probe" });
  });

  test("that lies, and is exact when probed, is caught by the sample", async () => {
    const world = await backedUp({ os: 4 * chunkSizeBytes });
    world.limits = { ...world.limits, sampleChunks: 40 };
    world.source.diff = { kind: "lies", leavesOut: (offset) => offset < chunkSizeBytes };
    world.scribble("web", "os", 4096);
    const run = await world.backUp("web");
    expect(run).toMatchObject({ disks: [{ method: "compare", newChunks: 1 }] });
    expect(await breaches(world)).toEqual([]);
    expect(await world.eventNames(run.runId)).toContain("diff-not-believed");
    const account = (await world.catalog.sourceAccounts.get("source.example", world.signal))?.value;
    expect(account).toMatchObject({ diff: "wrong", foundBy: "sample" });

    // A probe of the next days would find it exact again; what the sample found weighs more.
    world.clock.advance(5 * 24 * 60 * minuteMs);
    world.scribble("web", "os", 8192);
    expect(await world.backUp("web")).toMatchObject({ disks: [{ method: "compare" }] });
    expect(await breaches(world)).toEqual([]);
  });

  test("that lies is believed where nothing is sampled (the control)", async () => {
    const world = await backedUp({ os: 4 * chunkSizeBytes });
    world.limits = { ...world.limits, sampleChunks: 0 };
    world.source.diff = { kind: "lies", leavesOut: () => true };
    world.scribble("web", "os", 4096);
    await world.backUp("web");
    expect(await breaches(world)).toEqual([expect.stringMatching(/^I1: .* differs at byte 4096$/)]);
  });
});

describe("A backup in which nothing has changed", () => {
  async function callsFor(sizeBytes: number): Promise<readonly string[]> {
    const world = await backedUp({ os: sizeBytes });
    const process = new Process();
    await requestBackup(world.context(), { vm: web }, world.signal);
    await world.drain(() => process);
    expect((await world.runs())[0]).toMatchObject({ state: "succeeded" });
    return process.calls.filter((call) => !call.startsWith("catalog."));
  }

  test("makes no more requests for 1 TiB than for 1 MiB", async () => {
    const small = (await callsFor(mib)).length;
    expect((await callsFor(1024 ** 4)).length).toBeLessThanOrEqual(small);
    expect(small).toBeLessThan(60);
  });
});

describe("What is damaged in the parent", () => {
  test("does not stop the next backup: a damaged index makes it full, a damaged segment is read anew", async () => {
    const world = await backedUp({ os: 4 * mib });
    world.limits = { ...world.limits, sampleChunks: 0 };
    for (const damage of ["disk-index", "segment"] as const) {
      const point = await newestRestorePoint(world.vault, vmIdOf(web), world.signal);
      const [disk] = point?.manifest.disks ?? [];
      if (disk === undefined) throw new Error("There is no restore point.");
      const [segment] = (await readDiskIndex(world.vault, disk, world.signal)).segments;
      const id = damage === "segment" ? segment : disk.index;
      if (id !== undefined) await world.store.remove(objectName(damage, id), {}, world.signal);
      world.scribble("web", "os", 2 * mib);
      const run = await world.backUp("web");
      expect(run).toMatchObject({
        state: "succeeded",
        disks: [{ mode: damage === "segment" ? "incremental" : "full" }],
      });
      world.clock.advance(minuteMs);
      const left = (await breaches(world)).filter((breach) => !breach.startsWith("I3"));
      expect(left).toEqual([]);
      const newest = await newestRestorePoint(world.vault, vmIdOf(web), world.signal);
      expect((await breaches(world)).filter((breach) => breach.includes(newest?.pointId ?? "none"))).toEqual([]);
    }
  });
});

describe("What is damaged in the parent, of the same length, on a disk that has not changed", () => {
  for (const kind of ["exact", "everything"] as const) {
    test(`is written anew, and heals both points (the list of changed pages is: ${kind})`, async () => {
      for (const damage of ["disk-index", "segment"] as const) {
        const world = await backedUp({ os: 300 * mib });
        // All of them drawn: the sample meets the damage too.
        world.limits = { ...world.limits, sampleChunks: 40 };
        world.source.diff = { kind };
        const [disk] = (await newestRestorePoint(world.vault, vmIdOf(web), world.signal))?.manifest.disks ?? [];
        if (disk === undefined) throw new Error("There is no restore point.");
        const [segment] = (await readDiskIndex(world.vault, disk, world.signal)).segments;
        await flipLastBit(world, objectName(damage, damage === "segment" ? (segment ?? disk.index) : disk.index));
        expect(await breaches(world)).toHaveLength(1);
        expect(await world.backUp("web")).toMatchObject({ state: "succeeded" });
        expect(await breaches(world)).toEqual([]);
        expect(world.store.names().filter((name) => name.startsWith("quarantine/"))).toHaveLength(1);
      }
    });
  }
});

async function flipLastBit(world: World, name: string): Promise<void> {
  const blob = await world.store.read(name, mib, world.signal);
  if (blob === undefined) throw new Error(`There is no ${name}.`);
  const last = blob.content.length - 1;
  await world.store.put(name, blob.content.with(last, (blob.content[last] ?? 0) ^ 1), world.signal);
}

describe("A step that runs out of its time", () => {
  test("goes on where it stood, in planning and in copying", async () => {
    const world = await World.create();
    await world.addPolicy("standard", { freezeTtlSeconds: 600 });
    await world.addVm("web", { disks: { os: 8192 * mib, data: 600 * mib } });
    for (let at = 0; at < 8192; at += 100) world.scribble("web", "os", at * mib);
    world.limits = { ...world.limits, stepBudgetMs: 20_000, windowBytes: 16 * mib };
    const slow = { before: () => Promise.resolve(), after: () => Promise.resolve(world.clock.advance(1500)) };
    await requestBackup(world.context(), { vm: web }, world.signal);
    const outcomes: string[] = [];
    for (let next = world.visible()[0]; next !== undefined; next = world.visible()[0]) {
      const outcome = await world.deliver(next, new Process({ kind: "lives" }, slow));
      outcomes.push(`${next.kind}: ${typeof outcome === "string" ? outcome : outcome.kind}`);
    }
    expect(outcomes).toContain("copy-window: continued");
    expect(outcomes.filter((outcome) => outcome === "copy-window: done")).toHaveLength(2);
    await world.settle();
    expect(await world.runs()).toMatchObject([{ state: "succeeded", attempt: 1 }]);
    expect(await breaches(world)).toEqual([]);
  });
});
