import { describe, expect, test } from "vitest";
import { crashSweep, strikes } from "../support/simulation/crash-sweep.ts";
import { scenarios } from "../support/simulation/scenarios.ts";

describe("A service that fails at any one call, before or after it had its effect, stops nothing:", () => {
  test.each(Object.entries(scenarios))("%s", async (_, scenario) => {
    const report = await crashSweep(scenario, "fails");
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("A call that is refused for good ends a restore or a revert, and nothing of it is left:", () => {
  const restores = Object.entries(scenarios).filter(([name]) => /^(?!commit).*(?:restore|revert|overwrit)/.test(name));
  test.each(restores)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario, "refused");
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
  });
});
