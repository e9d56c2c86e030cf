/**
 * Drives every route of the local ARM, in each shape that long-running operations have, with the real SDKs: each exchange is held against the
 * official specifications. A route that no test drives fails this one.
 */
import { NetworkManagementClient } from "@azure/arm-network";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { armRoutes } from "../../../local/arm/arm-server.ts";
import { localArm } from "../../../shared/adapters/azure/managed/local-arm.ts";
import { subscriptionId } from "../../support/arm-client.ts";
import { group, startManagedRegion, type ManagedRegion } from "../../support/managed-vm.ts";
import { findOperation } from "../../support/specification/arm-specification.ts";

const location = "westeurope";
const poll = { updateIntervalInMs: 1 };
const read = { access: "Read", durationInSeconds: 60 } as const;

let now: number;
let region: ManagedRegion;
let network: NetworkManagementClient;
beforeEach(async () => {
  now = Date.parse("2026-11-21T00:00:00Z");
  // Every look at the clock is 10 ms later. A poll after the first one waits for a second, as it is told to: one operation is looked at so.
  const takes = (name: string): number => (name === "snapshots/write" ? 100 : 0);
  region = await startManagedRegion({ now: () => (now += 10), takes });
  const { credential, httpClient } = localArm(region.server.url);
  network = new NetworkManagementClient(credential, subscriptionId, { httpClient, retryOptions: { maxRetries: 0 } });
});
afterEach(() => region.stop());

/** Names in templates, of what stands while `driveReads` runs. */
let known: Record<string, string>;

async function driveMaking(): Promise<void> {
  const { client } = region;
  const vm = await region.addVm("web", 2);
  await client.virtualMachines.update(group, "web", { tags: { a: "b" } }, poll);
  for (const action of ["deallocate", "start", "powerOff", "start"] as const) {
    await client.virtualMachines[action](group, "web", poll);
  }
  await client.virtualMachines.runCommand(group, "web", { commandId: "RunShellScript", script: ["true"] }, poll);
  const command = { location, source: { script: "true" } };
  await client.virtualMachineRunCommands.createOrUpdate(group, "web", "run", command, poll);
  await client.disks.update(group, "web-1", { diskSizeGB: 2 }, poll);
  const creationData = { createOption: "Copy", sourceResourceId: vm.diskIds[0] ?? "" };
  await client.snapshots.createOrUpdate(group, "shot", { location, incremental: true, creationData }, poll);
  await client.restorePointCollections.createOrUpdate(group, "all", { location, source: { id: vm.resourceId } });
  await client.restorePoints.create(group, "all", "point", {}, poll);
  const [disk] = await Array.fromAsync(client.diskRestorePoint.listByRestorePoint(group, "all", "point"));
  known = {
    subscriptionId,
    resourceGroupName: group,
    vmName: "web",
    runCommandName: "run",
    diskName: "web-0",
    snapshotName: "shot",
    restorePointCollectionName: "all",
    restorePointName: "point",
    vmRestorePointName: "point",
    diskRestorePointName: disk?.name ?? "",
    name: "net",
    subnet: "default",
    location,
    scope: vm.diskIds[0]?.slice(1) ?? "",
    lockName: "lock",
  };
  await network.networkInterfaces.createOrUpdate(group, "net", { location }, poll);
  await network.publicIPAddresses.createOrUpdate(group, "net", { location }, poll);
  await network.networkSecurityGroups.createOrUpdate(group, "net", { location }, poll);
  const subnets = [{ name: "default", addressPrefix: "10.0.0.0/24" }];
  const virtualNetwork = { location, addressSpace: { addressPrefixes: ["10.0.0.0/16"] }, subnets };
  await network.virtualNetworks.createOrUpdate(group, "net", virtualNetwork, poll);
  await driveSimple("PUT", { location });
  await raw("PUT", "/{scope}/providers/Microsoft.Authorization/locks/{lockName}", {
    properties: { level: "ReadOnly" },
  });
}

/** Kinds of which only a name and a location are needed, and which nothing above has driven. */
async function driveSimple(wanted: "PUT" | "DELETE", body?: object): Promise<void> {
  const simple = armRoutes.filter(
    ({ method, template }) => method === wanted && /\{(?:name|resourceGroupName)\}$/.test(template),
  );
  for (const { template } of simple) {
    const operation = findOperation(wanted, template.replaceAll(/[{}]/g, ""))?.operation;
    if (operation !== undefined && !region.exercised.has(operation.name)) await raw(wanted, template, body);
  }
}

/** What a route gives. No SDK asks for everything: a list in a group, a lock. */
async function raw(method: string, template: string, body?: object): Promise<void> {
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => known[name] ?? `{${name}}`);
  const version = findOperation(method, path)?.operation.apiVersion ?? "";
  // What a region offers is listed for one region at a time.
  const filter = template.endsWith("/skus") ? `&$filter=${encodeURIComponent(`location eq '${location}'`)}` : "";
  const answer = await fetch(`${region.server.url}${path}?api-version=${version}${filter}`, {
    method,
    headers: { authorization: "Bearer token" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  await answer.text();
  expect(answer.status, `${method} ${path}`).toBeLessThan(300);
}

async function driveReads(): Promise<void> {
  for (const { method, template } of armRoutes) if (method === "GET") await raw(method, template);
  await raw("DELETE", "/{scope}/providers/Microsoft.Authorization/locks/{lockName}");
}

async function driveAccess(): Promise<void> {
  const { snapshots, disks, diskRestorePoint, virtualMachines } = region.client;
  await snapshots.grantAccess(group, "shot", read, poll);
  await snapshots.revokeAccess(group, "shot", poll);
  await virtualMachines.deallocate(group, "web", poll);
  await disks.grantAccess(group, "web-0", read, poll);
  await disks.revokeAccess(group, "web-0", poll);
  const disk = known["diskRestorePointName"] ?? "";
  await diskRestorePoint.grantAccess(group, "all", "point", disk, read, poll);
  await diskRestorePoint.revokeAccess(group, "all", "point", disk, poll);
}

async function driveRemoving(): Promise<void> {
  const { client } = region;
  await client.virtualMachineRunCommands.delete(group, "web", "run", poll);
  await client.virtualMachines.delete(group, "web", poll);
  await client.disks.delete(group, "web-1", poll);
  await client.snapshots.delete(group, "shot", poll);
  await client.restorePoints.delete(group, "all", "point", poll);
  await client.restorePointCollections.delete(group, "all", poll);
  await network.networkInterfaces.delete(group, "net", poll);
  await network.publicIPAddresses.delete(group, "net", poll);
  await network.networkSecurityGroups.delete(group, "net", poll);
  await network.virtualNetworks.delete(group, "net", poll);
  await driveSimple("DELETE");
  // Of what is not there, the same.
  await client.snapshots.delete(group, "shot", poll);
}

describe("Every route of the local ARM answers as the official specifications say", () => {
  test.each(["both", "location", "async"] as const)("where operations begin with the headers of %s", async (shape) => {
    region.server.arm.faults.planShapes(() => shape);
    await driveMaking();
    await driveReads();
    await driveAccess();
    await driveRemoving();
    const missing = armRoutes.flatMap(({ method, template }) => {
      const operation = findOperation(method, template.replaceAll(/[{}]/g, ""))?.operation;
      if (operation === undefined) return [`${method} ${template} is in no specification`];
      return region.exercised.has(operation.name) ? [] : [`${operation.name} was not driven`];
    });
    expect(missing).toEqual([]);
    expect(armRoutes.length).toBeGreaterThan(50);
  });
});
