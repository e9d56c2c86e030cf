import { describe, expect, test } from "vitest";
import { parseVmName } from "../../shared/core/ids.ts";
import { crashSweep, type Scenario, strikes } from "../support/simulation/crash-sweep.ts";
import { changedVm, scenarios } from "../support/simulation/scenarios.ts";

const vm = parseVmName("web");

describe("A process that is killed at any port call leaves a system that comes to its end by itself:", () => {
  test.each(Object.entries(scenarios))("%s", async (_, scenario) => {
    const report = await crashSweep(scenario);
    expect(report.breaches).toEqual([]);
    expect(report.calls.length).toBeGreaterThan(3);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("The sweep can fail:", () => {
  test("where an operation freezes the guest before it notes that", async () => {
    const report = await crashSweep({
      prepare: changedVm,
      act: async (world, process) => {
        const { guest } = world.context(process);
        const url = "https://guest.example/web";
        await guest.freeze(url, { ttlSeconds: 600, token: "nobody-knows" }, world.signal);
        await guest.thaw(url, "nobody-knows", world.signal);
      },
      expect: () => Promise.resolve(),
    });
    expect(report.breaches).toContain(
      "dies after call 0 (guest.freeze): I7: the guest https://guest.example/web is frozen",
    );
    expect(report.breaches.filter((breach) => breach.includes("call 1") && breach.includes("after"))).toEqual([]);
  });

  test("where a death is never reached", async () => {
    let times = 0;
    const act: Scenario["act"] = async (world, process) => {
      times++;
      if (times === 1) await world.context(process).catalog.vms.get(vm, world.signal);
    };
    const report = await crashSweep({ prepare: changedVm, act, expect: () => Promise.resolve() });
    expect(report.breaches).toContain("dies before call 0 (catalog.vms.get): it was never reached");
  });
});
