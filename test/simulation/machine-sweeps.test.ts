import { describe, expect, test } from "vitest";
import { crashSweep, strikes } from "../support/simulation/crash-sweep.ts";
import { machineScenarios } from "../support/simulation/machine-scenarios.ts";

const all = Object.entries(machineScenarios);
/** An exchange goes through every step of the others, and more: it has the most to lose. */
const exchanges = all.filter(([name]) => /exchange|taken back/.test(name));

describe("A process that is killed at any port call of a restore to the platform leaves one that comes to its end by itself:", () => {
  test.each(all)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario);
    expect(report.breaches).toEqual([]);
    expect(report.calls.length).toBeGreaterThan(3);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("A service that fails at any one call, before or after it had its effect, stops no exchange of disks:", () => {
  test.each(exchanges)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario, "fails");
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("A call that is refused for good ends an exchange of disks, and nothing of it is left:", () => {
  test.each(exchanges)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario, "refused");
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
  });
});
