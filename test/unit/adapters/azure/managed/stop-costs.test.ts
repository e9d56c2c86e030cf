import { describe, expect, test } from "vitest";
import { vmModel } from "../../../../../shared/adapters/azure/managed/arm-models.ts";
import { stopCosts } from "../../../../../shared/adapters/azure/managed/stop-costs.ts";

const vm = (properties: object) =>
  vmModel.parse({ id: "/x", location: "westeurope", properties: { storageProfile: { osDisk: {} }, ...properties } });
const address = (name: string, method: string) => ({ name, properties: { publicIPAllocationMethod: method } });

describe("What a VM of Azure loses by being stopped", () => {
  test("is nothing worth a word for one with a static address, or none", () => {
    expect(stopCosts(vm({}), {})).toEqual([]);
    expect(stopCosts(vm({ priority: "Regular" }), { publicIpAddresses: [address("web", "Static")] })).toEqual([]);
  });

  test("is said of a Spot VM, and of each address that is allocated dynamically", () => {
    const addresses = [address("web", "Dynamic"), address("admin", "Static"), address("old", "Dynamic")];
    const costs = stopCosts(vm({ priority: "Spot" }), { publicIpAddresses: addresses });
    expect(costs).toHaveLength(2);
    expect(costs[0]).toContain("no capacity to start it again");
    expect(costs[1]).toContain("web, old");
  });
});
