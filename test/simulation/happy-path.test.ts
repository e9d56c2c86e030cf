import { describe, expect, test } from "vitest";
import { firstDifference } from "../../shared/adapters/memory/sparse-image.ts";
import { requestRestore } from "../../shared/operations/request-restore.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { chunkSizeBytes, diskUrl, minuteMs, World } from "../support/simulation/world.ts";

const mib = 1024 * 1024;

describe("A VM of three disks", () => {
  test("is backed up, changed, backed up again, and both points are what the disks held", async () => {
    const world = await World.create();
    await world.addPolicy("standard");
    await world.addVm("web", { disks: { os: 600 * mib, data: 300 * mib, small: mib + 512 } });
    for (const at of [0, 5 * chunkSizeBytes + 100, 599 * mib]) world.scribble("web", "os", at, 9000);
    world.scribble("web", "data", 299 * mib);
    world.scribble("web", "small", mib, 512);
    const first = await world.backUp("web");
    expect(first).toMatchObject({ state: "succeeded", set: { consistency: { achieved: "application" } } });
    expect(await breaches(world)).toEqual([]);

    world.clock.advance(minuteMs);
    world.scribble("web", "os", 300 * mib);
    world.source.clear(diskUrl("web", "data"), 299 * mib, 4096);
    const second = await world.backUp("web");
    expect(second).toMatchObject({
      state: "succeeded",
      disks: [{ mode: "incremental", method: "diff", newChunks: 1 }, { newChunks: 0 }, {}],
    });
    expect(await breaches(world)).toEqual([]);

    const { run } = await requestRestore(
      world.context(),
      { vm: "web", point: { kind: "latest" }, target: { kind: "container", url: "https://target.example/back" } },
      world.signal,
    );
    await world.settle();
    expect(await world.run(run.runId)).toMatchObject({ state: "succeeded" });
    for (const disk of ["os", "data", "small"]) {
      const restored = world.target.finished(`https://target.example/back/${disk}.vhd`);
      expect(restored && firstDifference(restored, world.source.image(diskUrl("web", disk)))).toBeUndefined();
      expect(restored).toBeDefined();
    }
    expect(await breaches(world)).toEqual([]);
  });
});
