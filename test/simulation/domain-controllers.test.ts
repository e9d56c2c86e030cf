import { describe, expect, test } from "vitest";
import { breaches } from "../support/simulation/invariants.ts";
import { consistencyOf, World } from "../support/simulation/world.ts";
import { ask, mib, pointsOf, twoPoints } from "../support/simulation/two-points.ts";

describe("A domain controller of Windows Server 2008 R2 that was backed up without VSS", () => {
  const settings = { role: "domain-controller", osType: "windows", osVersion: "2008 R2" } as const;

  test("is marked, and restored only by somebody who accepts the risk", async () => {
    const world = await twoPoints(settings, consistencyOf("crash", "crash"));
    const [point] = await pointsOf(world);
    expect(point?.safety).toMatchObject({ usnRollbackRisk: true });
    await expect(ask(world)).rejects.toMatchObject({ code: "refused" });
    const { run } = await ask(world, { acceptUsnRollbackRisk: true });
    await world.settle();
    expect(await world.run(run.runId)).toMatchObject({ state: "succeeded" });
  });

  test("is not backed up at all where the policy says so, and no snapshot stays", async () => {
    const world = await World.create();
    await world.addPolicy("standard", { ...consistencyOf("crash", "crash"), usnRollback: "fail" });
    await world.addVm("dc", { disks: { os: mib }, settings });
    expect(await world.backUp("dc")).toMatchObject({ state: "failed", attempt: 1, error: { code: "refused" } });
    expect(await breaches(world)).toEqual([]);
  });

  test("is not marked when VSS froze it", async () => {
    const world = await twoPoints(settings);
    expect((await pointsOf(world)).map((point) => point.safety)).toEqual([
      { usnRollbackRisk: false },
      { usnRollbackRisk: false },
    ]);
  });
});
