import { describe, expect, test } from "vitest";
import { parseVmResourceId } from "../../../shared/core/resource-id.ts";

const subscription = "11111111-2222-3333-4444-555555555555";
const vm = `/subscriptions/${subscription}/resourceGroups/prod(east)/providers/Microsoft.Compute/virtualMachines/web_1`;

describe("The resource id of a VM", () => {
  test("is taken in any case of its letters, as it was given", () => {
    for (const text of [vm, vm.toLowerCase(), vm.toUpperCase()]) expect(parseVmResourceId(text)).toBe(text);
  });

  test.each([
    "",
    "web",
    vm.slice(1),
    `${vm}/`,
    `${vm}/extensions/x`,
    `${vm}?api-version=1`,
    vm.replace("virtualMachines", "disks"),
    vm.replace("Microsoft.Compute", "Microsoft.Storage"),
    vm.replace(subscription, "mine"),
    vm.replace("web_1", ".."),
    vm.replace("web_1", "a%2Fb"),
    vm.replace("web_1", "x".repeat(200)),
  ])("is refused: %j", (text) => {
    expect(() => parseVmResourceId(text)).toThrow(expect.objectContaining({ code: "bad-input" }));
  });
});
