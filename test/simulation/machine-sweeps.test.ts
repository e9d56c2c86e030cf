import { describe, expect, test } from "vitest";
import { crashSweep, strikes } from "../support/simulation/crash-sweep.ts";
import { machineScenarios } from "../support/simulation/machine-scenarios.ts";

const all = Object.entries(machineScenarios);

describe("A process that is killed at any port call of a restore to the platform leaves one that comes to its end by itself:", () => {
  test.each(all)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario);
    expect(report.breaches).toEqual([]);
    expect(report.calls.length).toBeGreaterThan(3);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("A service that fails at any one call, before or after it had its effect, stops no restore to the platform:", () => {
  test.each(all)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario, "fails");
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("A call that is refused for good ends a restore to the platform, and nothing of it is left:", () => {
  test.each(all)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario, "refused");
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
  });
});
