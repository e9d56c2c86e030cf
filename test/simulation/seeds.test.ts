import { describe, expect, test } from "vitest";
import { breaches } from "../support/simulation/invariants.ts";
import { beginLife, live, vmsWithoutNextPoint } from "../support/simulation/life.ts";

/** More seeds on demand: SIMULATION_SEEDS=1000 SIMULATION_FIRST=1. */
const count = Number(process.env["SIMULATION_SEEDS"] ?? 6);
const first = Number(process.env["SIMULATION_FIRST"] ?? 1);
const seeds = Array.from({ length: count }, (_, i) => first + i);

describe("A life with everything that can go wrong, at once and in any order, breaks nothing:", () => {
  test.each(seeds)("seed %i", async (seed) => {
    const world = await beginLife(seed);
    const report = await live(world, 120);
    expect({ seed, breaches: await breaches(world) }).toEqual({ seed, breaches: [] });
    expect({ seed, late: await vmsWithoutNextPoint(world) }).toEqual({ seed, late: [] });
    expect({ seed, breaches: await breaches(world) }).toEqual({ seed, breaches: [] });
    expect(report.deaths + report.errors).toBeGreaterThan(0);
  });

  test.each(seeds.slice(0, Math.ceil(count / 2)))(
    "seed %i, with VMs that are stopped for their snapshots",
    async (seed) => {
      const world = await beginLife(seed, true);
      await live(world, 120);
      expect({ seed, breaches: await breaches(world) }).toEqual({ seed, breaches: [] });
      expect({ seed, late: await vmsWithoutNextPoint(world) }).toEqual({ seed, late: [] });
      expect({ seed, breaches: await breaches(world) }).toEqual({ seed, breaches: [] });
      expect(world.source.power?.asked).toContain("stop");
    },
  );
});
