import { describe, expect, test } from "vitest";
import { Authorization, needOf } from "../../../../local/arm/authorization.ts";
import { allowsAction, parseRoleDefinition } from "../../../../local/arm/role-definition.ts";
import { everything, without } from "../../../support/roles.ts";

const subscription = "/subscriptions/11111111-2222-3333-4444-555555555555";
const group = `${subscription}/resourceGroups/prod`;
const vm = `${group}/providers/Microsoft.Compute/virtualMachines/web`;

describe("The action of a request", () => {
  test.each([
    ["GET", vm, "Microsoft.Compute/virtualMachines/read", vm],
    ["GET", `${vm}/extensions`, "Microsoft.Compute/virtualMachines/extensions/read", group],
    ["PATCH", vm, "Microsoft.Compute/virtualMachines/write", vm],
    ["DELETE", vm, "Microsoft.Compute/virtualMachines/delete", vm],
    ["POST", `${vm}/deallocate`, "Microsoft.Compute/virtualMachines/deallocate/action", vm],
    ["GET", `${group}/providers/Microsoft.Compute/snapshots`, "Microsoft.Compute/snapshots/read", group],
    [
      "GET",
      `${subscription}/providers/Microsoft.Compute/virtualMachines`,
      "Microsoft.Compute/virtualMachines/read",
      subscription,
    ],
    [
      "POST",
      `${group}/providers/Microsoft.Compute/restorePointCollections/c/restorePoints/p/diskRestorePoints/d/beginGetAccess`,
      "Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints/beginGetAccess/action",
      `${group}/providers/Microsoft.Compute/restorePointCollections/c/restorePoints/p/diskRestorePoints/d`,
    ],
    [
      "GET",
      `${subscription}/providers/Microsoft.Compute/locations/westeurope/usages`,
      "Microsoft.Compute/locations/usages/read",
      subscription,
    ],
    [
      "GET",
      `${subscription}/providers/Microsoft.Compute/locations/westeurope/diskOperations/1`,
      "Microsoft.Compute/locations/diskOperations/read",
      subscription,
    ],
    ["GET", group, "Microsoft.Resources/subscriptions/resourceGroups/read", group],
    [
      "GET",
      `${group}/providers/Microsoft.Authorization/permissions`,
      "Microsoft.Authorization/permissions/read",
      group,
    ],
  ])("%s %s is %s", (method, path, action, scope) => {
    expect(needOf(method, path)).toEqual({ action, scope });
  });
});

describe("A role definition", () => {
  test("allows what its actions name, with * and in any case, less what it leaves out", () => {
    const role = { ...everything, Actions: ["Microsoft.Compute/*/read"] };
    expect(allowsAction(role, "microsoft.compute/disks/READ")).toBe(true);
    expect(allowsAction(role, "Microsoft.Compute/disks/write")).toBe(false);
    expect(allowsAction(role, "XMicrosoft.Compute/disks/read")).toBe(false);
    expect(allowsAction(without(role, "Microsoft.Compute/disks/read"), "Microsoft.Compute/disks/read")).toBe(false);
  });

  test("has the fields that Azure's command line takes, and no others", () => {
    expect(parseRoleDefinition(JSON.stringify(everything))).toEqual(everything);
    expect(() => parseRoleDefinition(JSON.stringify({ ...everything, actions: [] }))).toThrow("actions");
  });
});

describe("Access to what a request refers to", () => {
  const disk = `${group}/providers/Microsoft.Compute/disks/os`;
  const snapshot = `${group}/providers/Microsoft.Compute/snapshots/s`;
  const body = { properties: { creationData: { createOption: "Copy", sourceResourceId: disk } } };
  const request = { principal: "app", method: "PUT", path: snapshot, body };
  const writer = { ...everything, Actions: ["Microsoft.Compute/snapshots/write"] };

  test("needs its own right, and is refused in ARM's words", () => {
    const authorization = new Authorization();
    authorization.assign({ principal: "app", role: writer, scope: group });
    expect(() => authorization.check(request)).toThrow(
      expect.objectContaining({
        status: 403,
        code: "LinkedAuthorizationFailed",
        message: expect.stringContaining(
          `does not have permission to perform action(s) 'Microsoft.Compute/disks/beginGetAccess/action' on the linked scope(s) '${disk}'`,
        ),
      }),
    );
    const linked = { ...everything, Actions: ["Microsoft.Compute/disks/beginGetAccess/action"] };
    authorization.assign({ principal: "app", role: linked, scope: disk });
    authorization.check(request);
  });

  test("is another's where the principal is another", () => {
    const authorization = new Authorization();
    authorization.assign({ principal: "app", role: everything, scope: subscription });
    expect(() => authorization.check({ ...request, principal: "thief" })).toThrow("The client 'thief'");
    expect(authorization.refused("thief")).toEqual(["Microsoft.Compute/snapshots/write"]);
  });
});
