/** Locks on the local ARM: what they forbid, where, and how that is told. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";

const location = "westeurope";
const poll = { updateIntervalInMs: 1 };

let region: ManagedRegion;
let vm: ManagedVm;
beforeEach(async () => {
  region = await startManagedRegion({ now: Date.now });
  vm = await region.addVm("web", 1);
});
afterEach(() => region.stop());

const locked = { statusCode: 409, code: "ScopeLocked" };

/** There is no SDK of locks here. */
async function ask(method: string, scope: string, name = "", properties?: object) {
  const path = `${scope}/providers/Microsoft.Authorization/locks${name === "" ? "" : `/${name}`}`;
  const answer = await fetch(`${region.server.url}${path}?api-version=2020-05-01`, {
    method,
    headers: { authorization: "Bearer token", "content-type": "application/json" },
    ...(properties === undefined ? {} : { body: JSON.stringify({ properties }) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? undefined : (JSON.parse(text) as unknown) };
}
const lock = (scope: string, level: string) => ask("PUT", scope, "keep", { level, notes: "Not by accident." });
const groupId = () => vm.resourceId.split("/providers/")[0] ?? "";
const snapshot = (name: string) => {
  const creationData = { createOption: "Copy", sourceResourceId: vm.diskIds[0] ?? "" };
  return region.client.snapshots.createOrUpdate(group, name, { location, incremental: true, creationData }, poll);
};

describe("A lock", () => {
  test("that forbids deleting keeps what is below its scope, and lets it be made and changed", async () => {
    expect((await lock(groupId(), "CanNotDelete")).status).toBe(201);
    expect((await lock(groupId(), "CanNotDelete")).status).toBe(200);
    await snapshot("kept");
    await region.client.disks.update(group, "web-0", { tags: { a: "b" } }, poll);
    const refused = await region.client.snapshots
      .delete(group, "kept", poll)
      .then(undefined, (error: unknown) => error);
    expect(refused).toMatchObject(locked);
    expect(String(refused)).toContain(`are locked: '${groupId()}'`);
    expect((await ask("DELETE", groupId(), "keep")).status).toBe(200);
    expect((await ask("DELETE", groupId(), "keep")).status).toBe(204);
    await region.client.snapshots.delete(group, "kept", poll);
  });

  test("that allows reading alone forbids every change and action, of its resource only", async () => {
    const [disk = ""] = vm.diskIds;
    await lock(disk, "ReadOnly");
    const { disks, virtualMachines } = region.client;
    await expect(disks.update(group, "web-0", { tags: {} }, poll)).rejects.toMatchObject(locked);
    await expect(disks.delete(group, "web-0", poll)).rejects.toMatchObject(locked);
    const read = { access: "Read", durationInSeconds: 60 } as const;
    await expect(disks.grantAccess(group, "web-0", read, poll)).rejects.toMatchObject(locked);
    expect((await disks.get(group, "web-0")).name).toBe("web-0");
    await virtualMachines.deallocate(group, "web", poll);
    // A resource whose name begins like that of the locked one is another one.
    const empty = { location, creationData: { createOption: "Empty" }, diskSizeGB: 1 };
    await disks.createOrUpdate(group, "web-01", empty, poll);
    await disks.delete(group, "web-01", poll);
  });

  test("is read and listed, and its level is one that there is", async () => {
    await lock(groupId(), "ReadOnly");
    expect((await ask("GET", groupId(), "keep")).body).toMatchObject({ properties: { level: "ReadOnly" } });
    expect((await ask("GET", groupId())).body).toMatchObject({ value: [{ name: "keep" }] });
    expect((await ask("GET", vm.diskIds[0] ?? "", "keep")).status).toBe(404);
    expect((await lock(groupId(), "Forever")).status).toBe(400);
  });
});
