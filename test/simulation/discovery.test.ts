/** Protection by tag, on ports in memory: what each look does, that no wrong listing takes protection away, and that it may die anywhere. */
import { describe, expect, test } from "vitest";
import { FarsideError } from "../../shared/core/errors.ts";
import { parsePolicyName, parseVmName } from "../../shared/core/ids.ts";
import type { VmResourceId } from "../../shared/core/resource-id.ts";
import { claimVm } from "../../shared/operations/run/claim-vm.ts";
import { protectVm } from "../../shared/operations/manage/protect-vm.ts";
import { unprotectVm } from "../../shared/operations/manage/unprotect-vm.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { listRestorePoints } from "../../shared/operations/vault/list-restore-points.ts";
import { crashSweep, strikes, type Scenario } from "../support/simulation/crash-sweep.ts";
import { breaches } from "../support/simulation/invariants.ts";
import {
  actions,
  idOf,
  look,
  protection,
  scopeOne,
  scopeTwo,
  tag,
  taggedWorld,
} from "../support/simulation/tagged-vms.ts";
import type { World } from "../support/simulation/world.ts";
import { vmIdOf } from "../../shared/core/vm.ts";

const forbidden = new FarsideError("forbidden", "Could not list the VMs: 403 AuthorizationFailed.");
const names = (count: number) => Array.from({ length: count }, (_, i) => `vm${i}`);

async function withTagged(count: number): Promise<World> {
  const world = await taggedWorld();
  for (const name of names(count)) tag(world, idOf(name), "daily");
  await look(world);
  expect(Object.keys(await protection(world))).toHaveLength(count);
  return world;
}

describe("A look for tagged VMs", () => {
  test("protects those with the tag by the policy that it names, and follows the tag", async () => {
    const world = await taggedWorld();
    tag(world, idOf("web"), "daily");
    tag(world, idOf("db"), undefined);
    tag(world, idOf("app", "prod", "two"), "hourly");
    expect(actions(await look(world))).toEqual(["protected", "protected"]);
    expect(await protection(world)).toEqual({ web: "daily tag", app: "hourly tag" });
    expect(await look(world)).toMatchObject({ findings: [], unchanged: 2 });
    tag(world, idOf("web"), "hourly");
    expect(actions(await look(world))).toEqual(["policy-changed"]);
    tag(world, idOf("web"), undefined);
    expect((await look(world)).findings).toMatchObject([
      { action: "unprotected", vm: "web", note: 'Its tag "farside-policy" is gone.' },
    ]);
    expect(await protection(world)).toEqual({ app: "hourly tag" });
  });

  test("that is dry tells the same and changes nothing", async () => {
    const world = await withTagged(2);
    tag(world, idOf("vm0"), undefined);
    tag(world, idOf("vm1"), "hourly");
    tag(world, idOf("new"), "hourly");
    const before = await protection(world);
    const told = await look(world, { dryRun: true });
    expect(actions(told)).toEqual(["policy-changed", "protected", "unprotected"]);
    expect(await protection(world)).toEqual(before);
    expect(told.findings).toEqual((await look(world)).findings);
  });

  test("takes the protection of a deleted VM too, and its restore points stay", async () => {
    const world = await withTagged(1);
    await world.backUp("vm0");
    expect(world.source.attempts()).toHaveLength(1);
    world.directory.remove(idOf("vm0"));
    expect((await look(world)).findings).toMatchObject([
      { action: "unprotected", note: expect.stringMatching(/deleted/) },
    ]);
    expect(await protection(world)).toEqual({});
    expect(world.source.attempts()).toEqual([]);
    expect(await listRestorePoints(world.vault, vmIdOf(parseVmName("vm0")), world.signal)).toHaveLength(1);
    expect(await breaches(world)).toEqual([]);
  });

  test("tells of a tag that names no policy, protects every other VM, and takes from none the policy that it has", async () => {
    const world = await taggedWorld();
    tag(world, idOf("a"), "dailly");
    tag(world, idOf("b"), "daily");
    tag(world, idOf("c"), "");
    expect((await look(world)).findings).toMatchObject([
      { action: "not-protected", note: expect.stringContaining('no policy "dailly"') },
      { action: "protected", vm: "b" },
      { action: "not-protected", note: expect.stringContaining("is empty") },
    ]);
    tag(world, idOf("b"), "Daily");
    expect((await look(world)).findings[1]).toMatchObject({ action: "policy-kept", vm: "b", policy: "daily" });
    expect(await protection(world)).toEqual({ b: "daily tag" });
    const report = (await world.catalog.discoveryReports.get(scopeOne, world.signal))?.value;
    expect(report).toMatchObject({ tagged: 3, vms: 3, problemsInAll: 3 });
    expect(world.log.filter(({ event, level }) => event === "discovery-finding" && level === "warning")).toHaveLength(
      5,
    );
  });

  test("leaves alone whom a person protects, and whom a person takes over", async () => {
    const world = await taggedWorld();
    for (const name of ["web", "db"]) tag(world, idOf(name), "daily");
    const by = (name: string, vm: string) => {
      const source = {
        kind: "managed",
        resourceId: idOf(vm).toUpperCase().replace("SUBSCRIPTIONS", "subscriptions"),
      } as const;
      const policy = parsePolicyName("hourly");
      return protectVm(world.context(), { name: parseVmName(name), policy, source }, world.signal);
    };
    await by("mine", "web");
    expect(actions(await look(world))).toEqual(["manual", "protected"]);
    await expect(by("other", "db")).rejects.toMatchObject({
      code: "already-exists",
      message: expect.stringContaining('"db"'),
    });
    await by("db", "db");
    expect(actions(await look(world))).toEqual(["manual", "manual"]);
    for (const name of ["web", "db"]) tag(world, idOf(name), undefined);
    expect((await look(world)).findings).toEqual([]);
    expect(await protection(world)).toEqual({ mine: "hourly manual", db: "hourly manual" });
  });

  test("is what ends the protection of a tagged VM: a person is told to remove the tag, unless it would not come back", async () => {
    const world = await withTagged(1);
    const name = parseVmName("vm0");
    const unprotect = () => unprotectVm(world.context(), { name }, world.signal);
    await expect(unprotect()).rejects.toMatchObject({
      code: "refused",
      message: expect.stringContaining("remove the tag"),
    });
    world.scopes = [scopeTwo];
    await unprotect();
    expect(await protection(world)).toEqual({});
  });

  test("puts off what a run stands in the way of", async () => {
    const world = await withTagged(1);
    const { run } = await requestBackup(world.context(), { vm: parseVmName("vm0") }, world.signal);
    await claimVm(world.context(), { vmId: run.vmId, runId: run.runId, as: "backup" }, world.signal);
    tag(world, idOf("vm0"), undefined);
    expect(actions(await look(world))).toEqual(["put-off"]);
    await world.settle();
    expect(actions(await look(world))).toEqual(["unprotected"]);
  });

  test("goes on at the next one where its time is over", async () => {
    const world = await taggedWorld();
    for (const name of names(5)) tag(world, idOf(name), "daily");
    const insert = world.catalog.vms.insert.bind(world.catalog.vms);
    world.catalog.vms.insert = (...args) => {
      world.clock.advance(20_000);
      return insert(...args);
    };
    expect(await look(world, { budgetMs: 50_000 })).toMatchObject({ left: 2 });
    expect(await look(world)).toMatchObject({ left: 0, unchanged: 3 });
    expect(Object.keys(await protection(world))).toHaveLength(5);
  });
});

describe("No VM loses its protection", () => {
  test.each([
    [
      "a listing that was refused",
      (world: World) => void world.directory.failing.set(scopeOne, { after: 0, error: forbidden }),
    ],
    [
      "one that broke off half-way",
      (world: World) => void world.directory.failing.set(scopeOne, { after: 1, error: forbidden }),
    ],
    [
      "one that lacks VMs which are there with their tags",
      (world: World) => void world.directory.unseen.add(idOf("vm0")),
    ],
    [
      "a question after one VM that is refused",
      (world: World) => {
        world.directory.unseen.add(idOf("vm0"));
        world.directory.find = () => Promise.reject(forbidden);
      },
    ],
  ])("after %s, and the next whole one is believed", async (_, breakIt) => {
    const world = await withTagged(3);
    const find = world.directory.find.bind(world.directory);
    tag(world, idOf("other", "prod", "two"), "daily");
    breakIt(world);
    const outcome = await look(world);
    expect(actions(outcome)).toContain("protected");
    expect(Object.keys(await protection(world))).toHaveLength(4);
    expect(outcome.scopes.some(({ isComplete }) => !isComplete) || actions(outcome).includes("failed")).toBe(true);
    const report = (await world.catalog.discoveryReports.get(scopeOne, world.signal))?.value;
    expect(report?.error ?? report?.problems[0]).toBeDefined();
    world.directory.failing.clear();
    world.directory.unseen.clear();
    world.directory.find = find;
    tag(world, idOf("vm0"), undefined);
    expect(actions(await look(world))).toEqual(["unprotected"]);
  });

  test("where more than half of a scope would, until a person confirms it; the other scopes go on", async () => {
    const world = await withTagged(6);
    for (const name of names(4)) tag(world, idOf(name), undefined);
    tag(world, idOf("other", "prod", "two"), "daily");
    const held = await look(world);
    expect(actions(held)).toEqual(["protected", ...Array.from({ length: 4 }, () => "removal-held")]);
    expect(held.findings.at(-1)?.note).toMatch(/4 of the 6 VMs .* --accept-removals/);
    expect(Object.keys(await protection(world))).toHaveLength(7);
    expect(actions(await look(world, { acceptRemovals: true }))).toEqual(
      Array.from({ length: 4 }, () => "unprotected"),
    );
    expect(Object.keys(await protection(world))).toHaveLength(3);
  });

  test("where a scope is taken out of the settings by mistake, with all its VMs", async () => {
    const world = await withTagged(4);
    world.scopes = [scopeTwo];
    expect(actions(await look(world))).toEqual(Array.from({ length: 4 }, () => "removal-held"));
    expect((await world.catalog.discoveryReports.get("elsewhere", world.signal))?.value.problemsInAll).toBe(4);
    world.scopes = [scopeOne];
    expect(await look(world)).toMatchObject({ findings: [], unchanged: 4 });
    expect(await world.catalog.discoveryReports.get("elsewhere", world.signal)).toBeUndefined();
    world.scopes = [];
    await expect(look(world)).rejects.toMatchObject({ code: "bad-input" });
  });

  test("control: a few of many go at once, without being asked", async () => {
    const world = await withTagged(8);
    for (const name of names(4)) tag(world, idOf(name), undefined);
    expect(actions(await look(world))).toEqual(Array.from({ length: 4 }, () => "unprotected"));
  });
});

describe("A service that asks to slow down", () => {
  test("is not asked for that scope before its time", async () => {
    const world = await withTagged(1);
    const throttled = new FarsideError("throttled", "Too many.", { retryAfterMs: 1_200_000 });
    world.directory.failing.set(scopeOne, { after: 0, error: throttled });
    await look(world);
    world.directory.failing.clear();
    world.clock.advance(15 * 60_000);
    const lists = world.directory.lists;
    expect((await look(world)).scopes[0]).toMatchObject({ isComplete: false, error: { code: "throttled" } });
    // The other scope alone.
    expect(world.directory.lists).toBe(lists + 1);
    world.clock.advance(6 * 60_000);
    expect((await look(world)).scopes[0]).toMatchObject({ isComplete: true });
  });
});

describe("The name of a discovered VM", () => {
  test("gets a suffix where two groups have VMs of one name, or Azure's letters are none of ours, and never changes", async () => {
    const world = await taggedWorld();
    const ids = [idOf("web", "a"), idOf("web", "b"), idOf("café_1"), idOf("x".repeat(64))];
    for (const id of ids) tag(world, id, "daily");
    const rehearsed = await look(world, { dryRun: true });
    expect((await look(world)).findings).toEqual(rehearsed.findings);
    const rows = Object.keys(await protection(world));
    expect(rows).toEqual([
      expect.stringMatching(/^caf-_1-[0-9a-f]{8}$/),
      "web",
      expect.stringMatching(/^web-[0-9a-f]{8}$/),
      "x".repeat(64),
    ]);
    tag(world, idOf("web", "a"), undefined);
    await look(world);
    const again = idOf("web", "b").replace("resourceGroups/b", "resourceGroups/B") as VmResourceId;
    world.directory.remove(idOf("web", "b"));
    tag(world, again, "hourly");
    expect(actions(await look(world))).toEqual(["policy-changed"]);
    expect(Object.keys(await protection(world))).toEqual(rows.filter((name) => name !== "web"));
  });

  test("is not that of a VM whose restore points the vault has; with its tag back, that one has it again", async () => {
    const world = await taggedWorld();
    const [first, second] = [idOf("web", "a"), idOf("web", "b")];
    tag(world, first, "daily");
    await look(world);
    await world.backUp("web");
    tag(world, first, undefined);
    await look(world);
    tag(world, second, "daily");
    await look(world);
    expect(Object.keys(await protection(world))).toEqual([expect.stringMatching(/^web-[0-9a-f]{8}$/)]);
    tag(world, first, "hourly");
    await look(world);
    expect(await protection(world)).toMatchObject({ web: "hourly tag" });
    expect(await world.backUp("web")).toMatchObject({ state: "succeeded" });
    expect(await breaches(world)).toEqual([]);
  });
});

describe("Looks at once, or that die anywhere,", () => {
  /** One to be protected, one to change, one to go, with its base. */
  async function changed(): Promise<World> {
    const world = await taggedWorld();
    for (const name of ["stays", "goes"]) tag(world, idOf(name), "daily");
    await look(world);
    await world.backUp("goes");
    tag(world, idOf("goes"), undefined);
    tag(world, idOf("stays"), "hourly");
    tag(world, idOf("new"), "daily");
    return world;
  }

  const scenario: Scenario = {
    prepare: changed,
    act: (world, process) => look(world, {}, process),
    expect: async (world) => {
      await look(world);
      expect(await protection(world)).toEqual({ new: "daily tag", stays: "hourly tag" });
      expect(world.source.attempts()).toEqual([]);
      expect(await look(world)).toMatchObject({ findings: [], unchanged: 2 });
    },
  };

  test.each(["dies", "fails"] as const)("leave nothing that the next one does not mend (a call %s)", async (kind) => {
    const report = await crashSweep(scenario, kind);
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
    expect(report.calls.length).toBeGreaterThan(15);
  });

  test("do each thing once", async () => {
    const world = await changed();
    const outcomes = await Promise.all([look(world), look(world), look(world)]);
    await scenario.expect(world);
    expect(outcomes.flatMap(({ findings }) => findings).filter(({ action }) => action === "failed")).toEqual([]);
    expect(world.log.filter(({ event, fields }) => event === "vm-protected" && fields["vm"] === "new")).toHaveLength(1);
    expect(await breaches(world)).toEqual([]);
  });
});
