import { describe, expect, test } from "vitest";
import { crashSweep, strikes } from "../support/simulation/crash-sweep.ts";
import { begun, endedAndRuns, shutdownScenarios, sourceOf } from "../support/simulation/shutdown-scenarios.ts";
import { minuteMs } from "../support/simulation/world.ts";

describe("Whatever is killed, at any port call, the VM that ran runs in the end:", () => {
  test.each(shutdownScenarios)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario);
    expect(report.breaches).toEqual([]);
    expect(report.calls.length).toBeGreaterThan(3);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("Whatever call fails once, the VM that ran runs in the end, and is backed up:", () => {
  test.each(shutdownScenarios)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario, "fails");
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("Whatever call is refused for good, the VM that ran runs in the end:", () => {
  test.each(shutdownScenarios)("%s", async (_, scenario) => {
    const report = await crashSweep({ ...scenario, expect: endedAndRuns }, "refused");
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("The sweeps can fail:", () => {
  test("where a VM is stopped before anybody has written it down", async () => {
    const report = await crashSweep({
      prepare: () => begun(0),
      act: async (world, process) => {
        const { power } = world.context(process).source("page-blob");
        await power?.stop(await sourceOf(world), world.signal);
        world.clock.advance(2 * minuteMs);
        await power?.start(await sourceOf(world), world.signal);
      },
      expect: () => Promise.resolve(),
    });
    expect(report.breaches.join()).toContain("I7: the VM web is stopp");
  });
});
