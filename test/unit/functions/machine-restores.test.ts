/** Restores to the platform over HTTP: what is refused with its path, what is asked of the platform, and what a run shows. */
import { beforeEach, describe, expect, test } from "vitest";
import type { App } from "../../../shared/compose/app.ts";
import { farsideVersion } from "../../../shared/config/version.ts";
import type { Problem } from "../../../shared/wire/http/problem.ts";
import { runViewSchema } from "../../../shared/wire/http/run.ts";
import { openApiDocument } from "../../../shared/wire/http/openapi.ts";
import { callEndpoint } from "../../support/test-app.ts";
import { managedVm } from "../../support/simulation/machine-scenarios.ts";
import { groupId, type World } from "../../support/simulation/world.ts";

let world: World;
let app: App;

beforeEach(async () => {
  world = await managedVm();
  app = { context: async () => world.context(), stopping: world.signal, version: farsideVersion };
});

const post = (target: object, headers: Record<string, string> = {}) =>
  callEndpoint(app, "POST", "/api/vms/web/restores", { target }, headers);

const subnetId = `${groupId}/providers/Microsoft.Network/virtualNetworks/net/subnets/default`;
const nsgId = `${groupId}/providers/Microsoft.Network/networkSecurityGroups/web`;
const encryptionSetId = `${groupId}/providers/Microsoft.Compute/diskEncryptionSets/keys`;
const disks = { kind: "managed-disks", resourceGroup: groupId, location: "westeurope" };
const vm = { kind: "managed-vm", resourceGroup: groupId, name: "twin" };

describe("A restore to the platform is asked for", () => {
  test.each([
    [disks],
    [{ ...disks, sku: "Premium_LRS", zone: "1", diskEncryptionSetId: encryptionSetId, namePrefix: "web-back" }],
    [vm],
    [
      {
        ...vm,
        location: "northeurope",
        size: "Standard_D4s_v5",
        subnetId,
        networkSecurityGroupId: "none",
        keepPrivateAddresses: true,
        leaveStopped: true,
        zone: "none",
      },
    ],
    [{ ...vm, networkSecurityGroupId: nsgId }],
    [{ kind: "swap-disks", mayStop: true }],
  ])("with %j, and the run shows just that", async (target) => {
    world.machines.notes = ["An address cannot be kept."];
    const { status, body } = await post(target);
    expect(status).toBe(202);
    const run = runViewSchema.strict().parse(body);
    expect(run).toMatchObject({ kind: "restore", state: "queued", notes: ["An address cannot be kept."], made: [] });
    expect(run.target).toEqual(target);
    await world.settle();
    const shown = runViewSchema.strict().parse((await callEndpoint(app, "GET", `/api/runs/${run.runId}`)).body);
    expect(shown).toMatchObject({ state: "succeeded", snapshotAt: expect.any(String) as string });
    expect(shown.made?.length).toBeGreaterThan(1);
    for (const disk of shown.disks) expect(disk.url).toMatch(/\/providers\/Microsoft\.Compute\/disks\//);
  });

  test("once, where the key is the same", async () => {
    const headers = { "idempotency-key": "one" };
    const [first, second] = [await post(vm, headers), await post(vm, headers)];
    expect(second.body).toMatchObject({ runId: (first.body as { runId: string }).runId });
    expect((await post({ ...vm, name: "other" }, headers)).body).toMatchObject({ code: "already-exists" });
  });
});

describe("A restore to the platform is refused with the path of what is wrong:", () => {
  test.each([
    ["a group's bare name", { ...disks, resourceGroup: "prod" }, "target.resourceGroup", /resourceGroups\/<name>/],
    ["no region", { kind: "managed-disks", resourceGroup: groupId }, "target.location", /./],
    ["a region's shown name", { ...disks, location: "West Europe" }, "target.location", /westeurope/],
    ["a zone that is none", { ...disks, zone: "4" }, "target.zone", /./],
    ["a prefix that begins no name", { ...disks, namePrefix: "-x" }, "target.namePrefix", /prefix/],
    ["a prefix that is too long", { ...disks, namePrefix: "x".repeat(61) }, "target.namePrefix", /60/],
    ["a SKU with a space", { ...disks, sku: "Premium LRS" }, "target.sku", /Premium_LRS/],
    [
      "a set that is none",
      { ...disks, diskEncryptionSetId: subnetId },
      "target.diskEncryptionSetId",
      /diskEncryptionSets/,
    ],
    ["a VM without a name", { ...vm, name: "" }, "target.name", /1 to 64/],
    ["a VM's name that ends in a period", { ...vm, name: "twin." }, "target.name", /period/],
    ["a VM's name of 65 characters", { ...vm, name: "x".repeat(65) }, "target.name", /1 to 64/],
    ["a VM's name that climbs", { ...vm, name: "../web" }, "target.name", /1 to 64/],
    ["a size that is none", { ...vm, size: "4 cores" }, "target.size", /Standard_D4s_v5/],
    ["a network as a subnet", { ...vm, subnetId: subnetId.slice(0, -16) }, "target.subnetId", /subnets\/<name>/],
    [
      "a subnet as a group of rules",
      { ...vm, networkSecurityGroupId: subnetId },
      "target.networkSecurityGroupId",
      /"none"/,
    ],
    ["an exchange with a region", { kind: "swap-disks", location: "westeurope" }, "target.location", /./],
    ["disks with a name of a VM", { ...disks, name: "twin" }, "target.name", /./],
  ])("%s", async (_what, target, path, message) => {
    const { status, body } = await post(target);
    expect(status).toBe(400);
    const { errors = [] } = body as Problem & { errors?: { path: string; message: string }[] };
    expect(errors.map((error) => error.path)).toContain(path);
    expect(errors.map((error) => error.message).join(" ")).toMatch(message);
    expect((await world.runs()).filter(({ kind }) => kind === "restore")).toEqual([]);
  });

  test("by what the platform says, as a problem of its own, and nothing is made", async () => {
    const { status, body } = await post({ kind: "swap-disks" });
    expect([status, body]).toMatchObject([409, { code: "in-use" }]);
    expect((await world.runs()).filter(({ kind }) => kind === "restore")).toEqual([]);
  });
});

test("The document of the API describes each kind of target", () => {
  const { components } = openApiDocument("1") as { components: { schemas: Record<string, unknown> } };
  const body = JSON.stringify(components.schemas["RestoreBody"]);
  for (const word of [
    "managed-disks",
    "managed-vm",
    "swap-disks",
    "mayStop",
    "keepPrivateAddresses",
    "diskEncryptionSetId",
  ])
    expect(body).toContain(word);
});
