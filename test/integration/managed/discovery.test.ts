/** Protection by tag with the real SDK over the local ARM: lists in pages, every way in which one can fail, and the command line. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ServiceError } from "../../../local/arm/service-error.ts";
import { ArmConnection } from "../../../shared/adapters/azure/managed/arm-connection.ts";
import { localArm } from "../../../shared/adapters/azure/managed/local-arm.ts";
import { ArmVmDirectory } from "../../../shared/adapters/azure/managed/vm-directory.ts";
import { systemClock } from "../../../shared/compose/system.ts";
import { parseDiscoveryScope } from "../../../shared/core/discovery-scope.ts";
import { parseVmResourceId } from "../../../shared/core/resource-id.ts";
import { subscriptionId } from "../../support/arm-client.ts";
import { group, startManagedRegion, type ManagedRegion } from "../../support/managed-vm.ts";
import { parsed, startStackShell, type StackShell } from "../../support/stack-shell.ts";

const never = new AbortController().signal;
const subscription = parseDiscoveryScope(`/subscriptions/${subscriptionId}`);
const type = "Microsoft.Compute/virtualMachines";
const vmId = (name: string, inGroup = group) =>
  parseVmResourceId(`${subscription}/resourceGroups/${inGroup}/providers/${type}/${name}`);

function put(region: ManagedRegion, name: string, tags?: Readonly<Record<string, string>>, inGroup = group): void {
  const id = vmId(name, inGroup);
  const properties = { storageProfile: { osDisk: { osType: "Windows", createOption: "Attach" } } };
  const body = { id, name, type, location: "westeurope", ...(tags === undefined ? {} : { tags }), properties };
  region.server.arm.resources.put({ id, type, body });
}

let region: ManagedRegion;

describe("The VMs of a scope", () => {
  let directory: ArmVmDirectory;
  beforeEach(async () => {
    region = await startManagedRegion({ now: Date.now });
    const connection = ArmConnection.open({ ...localArm(region.server.url), clock: systemClock() });
    directory = new ArmVmDirectory(() => connection);
    for (let i = 0; i < 120; i++) put(region, `vm${i}`, { owner: `team ${i}` }, i < 70 ? "PROD" : "test");
  });
  afterEach(() => region.stop());
  const list = (scope = subscription) => Array.fromAsync(directory.list(scope, never));

  test("are listed page by page, one request each, of a subscription or of a group in whatever case", async () => {
    const all = await list();
    expect(all).toHaveLength(120);
    expect(all[0]).toEqual({
      resourceId: vmId("vm0", "PROD"),
      name: "vm0",
      tags: { owner: "team 0" },
      osType: "windows",
    });
    expect(region.requests).toHaveLength(3);
    expect(await list(parseDiscoveryScope(`${subscription}/resourceGroups/prod`))).toHaveLength(70);
  });

  test.each([
    ["is no VM", (id: string) => ({ id, properties: {} }), /location is required/],
    [
      "has tags that are none",
      (id: string) => ({ id, name: "bad", location: "westeurope", tags: { a: 1 }, properties: {} }),
      /tags\{\} is not a text/,
    ],
    [
      "names another subscription",
      (id: string) => ({
        id: id.replace(subscriptionId, "0".repeat(8) + subscriptionId.slice(8)),
        name: "bad",
        location: "westeurope",
        properties: {},
      }),
      undefined,
    ],
  ])("are an error where one on a later page %s", async (_, bodyOf, finding) => {
    const id = vmId("bad");
    region.server.arm.resources.put({ id, type, body: bodyOf(id) });
    if (finding !== undefined) region.expectFinding(finding);
    await expect(list()).rejects.toMatchObject({ code: "source-corrupt" });
  });

  test.each([
    [new ServiceError(403, "AuthorizationFailed", "No."), { code: "forbidden" }],
    [new ServiceError(404, "SubscriptionNotFound", "No."), { code: "not-found" }],
    [
      new ServiceError(429, "OperationNotAllowed", "Slow.", { "Retry-After": "1200" }),
      { code: "throttled", retryAfterMs: 1_200_000 },
    ],
    [new ServiceError(500, "InternalServerError", "Oh."), { code: "unavailable" }],
    ["reset" as const, { code: "unavailable" }],
  ])("are an error where ARM gives one", async (error, expected) => {
    region.server.arm.faults.planRequest(/virtualMachines$/, error);
    await expect(list()).rejects.toMatchObject(expected);
  });

  test("are found by themselves, and are not there only where ARM says so of the VM or its group", async () => {
    expect(await directory.find(vmId("vm0", "prod"), never)).toMatchObject({ name: "vm0" });
    expect(await directory.find(vmId("gone"), never)).toBeUndefined();
    const { faults } = region.server.arm;
    for (const [status, code, expected] of [
      [404, "SubscriptionNotFound", "not-found"],
      [404, "", "unavailable"],
      [403, "AuthorizationFailed", "forbidden"],
    ] as const) {
      faults.planRequest(/virtualMachines\/vm0$/, new ServiceError(status, code, "No."));
      await expect(directory.find(vmId("vm0", "prod"), never)).rejects.toMatchObject({ code: expected });
    }
    faults.planRequest(/virtualMachines\/vm0$/, new ServiceError(404, "ResourceGroupNotFound", "No."));
    expect(await directory.find(vmId("vm0", "prod"), never)).toBeUndefined();
  });
});

describe("Discovery by the command line, through the functions host", () => {
  let shell: StackShell;
  beforeAll(async () => {
    region = await startManagedRegion({ now: Date.now });
    const settings = { FARSIDE_LOCAL_ARM: region.server.url, FARSIDE_DISCOVER: subscription.toUpperCase() };
    shell = await startStackShell({ settings });
    for (const policy of ["daily", "hourly"])
      parsed(await shell.run(["policy", "set", policy, "--keep-last", "3", "--json"]));
  });
  afterAll(async () => {
    await shell?.stop();
    await region?.stop();
  });

  interface Found {
    readonly findings: readonly { readonly action: string; readonly vm?: string; readonly policy?: string }[];
    readonly unchanged: number;
  }
  const discover = async (...flags: string[]) => {
    const { exitCode, out } = await shell.run(["vm", "discover", "--json", ...flags]);
    return { exitCode, ...(JSON.parse(out) as Found) };
  };
  const vms = async () => {
    const rows = parsed<{ name: string; policy: string; protectedBy: string }[]>(
      await shell.run(["vm", "list", "--json"]),
    );
    return rows.map(({ name, policy, protectedBy }) => [name, policy, protectedBy]);
  };

  test("protects, backs up, follows the tag and lets go; the restore points stay", async () => {
    const vm = await region.addVm("app", 2);
    await vm.write(1, 0, Buffer.alloc(4096, 7));
    const { resources } = region.server.arm;
    const tag = (tags: Readonly<Record<string, string>>) => {
      const found = resources.require(vm.resourceId);
      resources.put({ ...found, body: { ...found.body, tags } });
    };
    tag({ "Farside-Policy": "daily" });
    put(region, "wrong", { "farside-policy": "weekly" });
    expect(await discover("--dry-run")).toMatchObject({
      exitCode: 1,
      findings: [{ action: "not-protected" }, { action: "protected" }],
    });
    expect(await vms()).toEqual([]);
    const people = await shell.run(["vm", "discover"]);
    expect(people.out).toMatch(/not-protected +wrong +- +There is no policy "weekly"/);
    expect(people.out).toContain("2 VMs in 1 scope, 2 with the tag farside-policy, 0 protected as before.");
    expect(await vms()).toEqual([["app", "daily", "tag"]]);
    const status = await shell.run(["status"]);
    expect(`${status.out}${status.err}`).toContain('wrong: There is no policy "weekly"');

    region.server.arm.resources.remove(vmId("wrong"));
    region.requests.length = 0;
    expect(await discover()).toMatchObject({ exitCode: 0, findings: [], unchanged: 1 });
    // A look that changes nothing asks for the pages of its scopes and no more.
    expect(region.requests).toHaveLength(1);
    expect(parsed(await shell.run(["backup", "app", "--wait", "--json"]))).toMatchObject({ state: "succeeded" });

    tag({ "Farside-Policy": "hourly" });
    expect((await discover()).findings).toMatchObject([{ action: "policy-changed", vm: "app", policy: "hourly" }]);
    const refused = await shell.run(["vm", "unprotect", "app"]);
    expect(refused).toMatchObject({ exitCode: 4, err: expect.stringContaining("remove the tag") });

    region.server.arm.faults.planRequest(/virtualMachines$/, new ServiceError(403, "AuthorizationFailed", "No."));
    tag({});
    const failed = await shell.run(["vm", "discover"]);
    expect(failed).toMatchObject({ exitCode: 1, err: expect.stringContaining("None of its VMs was unprotected") });
    expect((await shell.run(["status"])).err).toContain("DISCOVERY FAILED");
    expect(await vms()).toEqual([["app", "hourly", "tag"]]);

    expect((await discover()).findings).toMatchObject([{ action: "unprotected", vm: "app" }]);
    expect(await vms()).toEqual([]);
    // What was begun to be deleted ends with the region's next request.
    await region.client.virtualMachines.get(group, "app");
    expect(resources.all().filter((one) => /restorePoints$|snapshots$/.test(one.type))).toEqual([]);
    expect(parsed<unknown[]>(await shell.run(["point", "list", "app", "--json"]))).toHaveLength(1);
  });

  test("does not let go of many at once before that is confirmed", async () => {
    const names = ["a", "b", "c", "d"];
    for (const name of names) put(region, name, { "farside-policy": "daily" });
    expect(await discover()).toMatchObject({ exitCode: 0 });
    for (const name of names) put(region, name);
    expect(await discover()).toMatchObject({
      exitCode: 4,
      findings: names.map((vm) => ({ action: "removal-held", vm })),
    });
    expect(await vms()).toHaveLength(4);
    expect(await discover("--accept-removals")).toMatchObject({ exitCode: 0 });
    expect(await vms()).toEqual([]);
  });
});
