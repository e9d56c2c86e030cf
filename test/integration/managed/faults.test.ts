/**
 * What goes wrong with backups of VMs of Azure. Each test looks at three things: how the run ends, that nothing is left but what the newest
 * restore point needs, and that the next scheduled backup works.
 */
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startAzurite, type Azurite } from "../../../local/azurite/azurite-process.ts";
import { ServiceError } from "../../../local/arm/service-error.ts";
import { group, type ManagedVm } from "../../support/managed-vm.ts";
import { mib, startManagedBackups, succeeded, type ManagedBackups } from "../../support/managed-backups.ts";

let vaultRegion: Azurite;
beforeAll(async () => {
  vaultRegion = await startAzurite({ accounts: [{ name: "vaultacct", key: randomBytes(64).toString("base64") }] });
});
afterAll(() => vaultRegion.stop());

let backups: ManagedBackups;
beforeEach(async () => {
  backups = await startManagedBackups(vaultRegion);
});
afterEach(() => backups.stop());

const faults = () => backups.region.server.arm.faults;

/** With something new on the disks: that it is in the next restore point. */
async function expectNextWorks(vm: ManagedVm): Promise<void> {
  for (const disk of vm.diskIds.keys()) await vm.write(disk, 2 * mib, randomBytes(4096));
  const run = succeeded(await backups.nextScheduled());
  expect(run.disks.map(({ sizeBytes }) => sizeBytes)).not.toEqual([]);
  await backups.expectHeld(vm);
  await backups.expectLeft(run);
}

/** The documented codes of restore points and of ARM, and what a run makes of them where they come once. */
const onceRefused: readonly (readonly [status: number, code: string, waitsFor: string])[] = [
  [409, "OperationNotAllowed", "conflict"],
  [409, "VMRestorePointClientError", "conflict"],
  [409, "AnotherOperationInProgress", "conflict"],
  [409, "Conflict", "conflict"],
  [409, "VMAgentStatusCommunicationError", "guest-failed"],
  [500, "VMRestorePointInternalError", "snapshot-failed"],
  [409, "DiskRestorePointClientError", "snapshot-failed"],
  [409, "DiskRestorePointUsedByCustomer", "conflict"],
  [500, "InternalError", "unavailable"],
  [500, "InternalExecutionError", "unavailable"],
  [503, "ServiceUnavailable", "unavailable"],
  [409, "AllocationFailed", "unavailable"],
  [429, "TooManyRequests", "throttled"],
];

const finallyRefused: readonly (readonly [status: number, code: string, error: string])[] = [
  [400, "BadRequest", "refused"],
  [400, "InvalidParameter", "refused"],
  [401, "InvalidAuthenticationToken", "forbidden"],
  [403, "AuthorizationFailed", "forbidden"],
  [403, "LinkedAuthorizationFailed", "forbidden"],
  [403, "RequestDisallowedByPolicy", "forbidden"],
  [404, "SubscriptionNotFound", "not-found"],
  [409, "ScopeLocked", "forbidden"],
];

/** Of operations that were accepted and failed at their end: some codes mean something else then. Two a test, for three points an hour can be made. */
const onceFailed = [
  [
    [409, "OperationNotAllowed", "conflict"],
    [409, "VMRestorePointClientError", "guest-failed"],
  ],
  [
    [409, "VMAgentStatusCommunicationError", "guest-failed"],
    [409, "DiskRestorePointClientError", "snapshot-failed"],
  ],
  [
    [500, "InternalExecutionError", "unavailable"],
    [409, "SomethingNobodyDocumented", "snapshot-failed"],
  ],
] as const;

const errorOf = (status: number, code: string, message: string) =>
  new ServiceError(status, code, message, status === 429 ? { "Retry-After": "30" } : {});

describe("A restore point that the platform refuses", () => {
  test(`for now, in each documented way (${codesOf(onceRefused)}), makes the run wait and try anew`, async () => {
    const vm = await backups.web();
    const planned = onceRefused.map(([status, code]) =>
      faults().planRequest(/^PUT .*restorePoints\//, errorOf(status, code, "Not now.")),
    );
    const run = succeeded(await backups.backup());
    expect(planned.map((fault) => fault.happened())).toEqual(planned.map(() => 1));
    expect(await backups.waits(run)).toEqual(onceRefused.map(([, , waitsFor]) => waitsFor));
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });

  test("by cutting the connection makes the run wait and try anew", async () => {
    const vm = await backups.web();
    const fault = faults().planRequest(/^PUT .*restorePoints\//, "reset");
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(1);
    expect(await backups.waits(run)).toEqual(["unavailable"]);
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });

  test(`for good (${codesOf(finallyRefused)}) fails the run at once, and says what the platform said`, async () => {
    const vm = await backups.web();
    for (const [status, code, error] of finallyRefused) {
      const refusal = errorOf(status, code, `Ask your owner about ${code}.`);
      const fault = faults().planRequest(/^PUT .*restorePoints\//, refusal);
      const run = await backups.backup();
      expect(fault.happened()).toBe(1);
      expect(run).toMatchObject({
        state: "failed",
        attempt: 1,
        error: { code: error, message: expect.stringContaining(`Ask your owner about ${code}`) },
      });
      await backups.expectLeft(run);
    }
    await expectNextWorks(vm);
  });
});

function codesOf(rows: readonly (readonly [number, string, string])[]): string {
  return rows.map(([status, code]) => `${status} ${code}`).join(", ");
}

describe("A restore point that fails at its end", () => {
  test.each(onceFailed)("with %j and then %j is made anew after each", async (...rows) => {
    const vm = await backups.web();
    const planned = rows.map(([status, code]) =>
      faults().planOperation("restorePoints/write", {
        kind: "fails",
        error: errorOf(status, code, "It did not work out."),
      }),
    );
    const run = succeeded(await backups.backup());
    expect(planned.map((fault) => fault.happened())).toEqual([1, 1]);
    expect(await backups.waits(run)).toEqual(rows.map(([, , waitsFor]) => waitsFor));
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });

  test("again and again until the retry window ends fails the run, with what the platform said, and leaves nothing", async () => {
    const vm = await backups.web({ retryWindowSeconds: 900 });
    const error = new ServiceError(409, "DiskRestorePointClientError", "The key vault is gone.");
    const fault = faults().planOperation("restorePoints/write", { kind: "fails", error }, 1000);
    const run = await backups.backup();
    fault.lift();
    expect(fault.happened()).toBeGreaterThan(3);
    expect(run).toMatchObject({
      state: "failed",
      error: { code: "snapshot-failed", message: expect.stringContaining("The key vault is gone") },
    });
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });
});

describe("A restore point", () => {
  test("that is throttled for 1,200 s puts off that VM for as long", async () => {
    const vm = await backups.web();
    const throttled = new ServiceError(429, "OperationNotAllowed", "Too many.", { "Retry-After": "1200" });
    const fault = faults().planRequest(/^PUT .*restorePoints\//, throttled);
    const before = backups.pipeline.context.clock.now();
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(1);
    expect(await backups.waits(run)).toEqual(["throttled"]);
    expect(backups.pipeline.context.clock.now() - before).toBeGreaterThan(1_200_000);
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });

  test.each([
    ["429", new ServiceError(429, "TooManyRequests", "Too many.", { "Retry-After": "1200" }), 1_200_000],
    ["503", new ServiceError(503, "ServiceUnavailable", "Not now."), 0],
    ["a connection that is cut", "reset", 0],
  ] as const)(
    "that cannot be looked at while it is made (%s) is looked at later, and not made anew",
    async (_, error, ms) => {
      const vm = await backups.web();
      const looks = faults().planRequest(/^GET .*operations\//, error);
      const reads = faults().planRequest(/^GET .*restorePoints\/farside/, error);
      const before = backups.pipeline.context.clock.now();
      const run = succeeded(await backups.backup());
      expect([looks.happened(), reads.happened()]).toEqual([1, 1]);
      expect(run.attempt).toBe(1);
      expect(backups.pipeline.context.clock.now() - before).toBeGreaterThan(ms);
      await backups.expectLeft(run);
      await expectNextWorks(vm);
    },
  );

  test("that never ends is given up after two hours", async () => {
    const vm = await backups.web();
    const fault = faults().planOperation("restorePoints/write", { kind: "never-ends" });
    const before = backups.pipeline.context.clock.now();
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(1);
    expect(new Set(await backups.waits(run))).toEqual(new Set(["deadline-passed", "conflict"]));
    expect(backups.pipeline.context.clock.now() - before).toBeGreaterThan(2 * 3_600_000);
    expect(backups.region.requests.length).toBeLessThan(400);
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });

  test("of a guest that cannot be brought to rest is tried three times, and then made without it where the policy accepts that", async () => {
    const vm = await backups.web();
    const error = new ServiceError(409, "VMAgentStatusCommunicationError", "The VM agent does not answer.");
    faults().planOperation("restorePoints/write", { kind: "fails", error }, 3);
    const run = succeeded(await backups.backup());
    expect(run.attempt).toBe(4);
    expect(run.set.consistency).toMatchObject({ requested: "application", achieved: "crash" });
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });

  test("of a guest that cannot be brought to rest fails the run where the policy accepts nothing less", async () => {
    const vm = await backups.web({ least: "filesystem", retryWindowSeconds: 900 });
    const error = new ServiceError(409, "VMAgentStatusCommunicationError", "The VM agent does not answer.");
    const fault = faults().planOperation("restorePoints/write", { kind: "fails", error }, 1000);
    const run = await backups.backup();
    fault.lift();
    expect(run).toMatchObject({
      state: "failed",
      error: { code: "consistency-not-met", message: expect.stringContaining("agent does not answer") },
    });
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });
});

describe("Incremental snapshots", () => {
  const single = { disks: 1, wanted: "crash" } as const;

  test.each([
    [409, "OperationNotAllowed", "conflict"],
    [500, "InternalError", "unavailable"],
    [429, "TooManyRequests", "throttled"],
  ] as const)("that the platform refuses once (%i %s) are made anew", async (status, code, waitsFor) => {
    const vm = await backups.web(single);
    const fault = faults().planRequest(/^PUT .*snapshots\//, errorOf(status, code, "Not now."));
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(1);
    expect(await backups.waits(run)).toEqual([waitsFor]);
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });

  test("of which one fails at its end are all removed, and made anew", async () => {
    const vm = await backups.web({ disks: 3 });
    backups.region.server.arm.resources.change(vm.resourceId, { powerState: "deallocated" });
    const error = new ServiceError(500, "InternalExecutionError", "It did not work out.");
    const fault = faults().planOperation("snapshots/write", { kind: "fails", error });
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(1);
    expect(run.attempt).toBe(2);
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });

  test("of which one never ends are given up after two hours, and removed", async () => {
    const vm = await backups.web(single);
    const fault = faults().planOperation("snapshots/write", { kind: "never-ends" });
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(1);
    expect(await backups.waits(run)).toEqual(["deadline-passed"]);
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });

  test("of which somebody has made seven in five minutes wait until there is room for one more", async () => {
    const vm = await backups.web(single);
    const others = await snapshotsOfOthers(vm, 7);
    const run = succeeded(await backups.backup());
    expect(new Set(await backups.waits(run))).toEqual(new Set(["conflict"]));
    await backups.expectLeft(run, others);
    await remove(others);
    await expectNextWorks(vm);
  });
});

describe("Restore points that somebody else makes", () => {
  test("of the same VM at the same time are waited for, and stay", async () => {
    const vm = await backups.web();
    backups.takes = (operation) => (operation.startsWith("access") ? 0 : 10 * 60_000);
    const theirs = await pointOfOthers(vm);
    const run = succeeded(await backups.backup());
    expect(new Set(await backups.waits(run))).toEqual(new Set(["conflict"]));
    await backups.expectLeft(run, theirs);
    await remove(theirs);
    await expectNextWorks(vm);
  });

  test("three times in an hour make the run wait for the fourth as long as the service says", async () => {
    const vm = await backups.web();
    backups.takes = () => 0;
    const theirs: string[] = [];
    for (let point = 0; point < 3; point++) theirs.push(...(await pointOfOthers(vm, `theirs-${point}`)));
    const before = backups.pipeline.context.clock.now();
    const run = succeeded(await backups.backup());
    expect(await backups.waits(run)).toEqual(["throttled"]);
    expect(backups.pipeline.context.clock.now() - before).toBeGreaterThan(3_590_000);
    await backups.expectLeft(run, theirs);
    await remove(theirs);
    await expectNextWorks(vm);
  });
});

/** By another tool, with its own names. */
async function snapshotsOfOthers(vm: ManagedVm, count: number): Promise<readonly string[]> {
  const { client } = backups.region;
  const { takes } = backups;
  backups.takes = () => 0;
  const ids: string[] = [];
  for (let at = 0; at < count; at++) {
    const creationData = { createOption: "Copy", sourceResourceId: vm.diskIds[0] ?? "" };
    const model = { location: "westeurope", incremental: true, creationData };
    const made = await client.snapshots.createOrUpdate(group, `theirs-${at}`, model, { updateIntervalInMs: 1 });
    ids.push(made.id ?? "");
  }
  backups.takes = takes;
  return ids;
}

/** Begun, not awaited. All ids: of the point and of its disks. */
async function pointOfOthers(vm: ManagedVm, name = "theirs"): Promise<readonly string[]> {
  const { client } = backups.region;
  const before = new Set(backups.standing());
  const source = { id: vm.resourceId };
  await client.restorePointCollections.createOrUpdate(group, "theirs", { location: "westeurope", source });
  await client.restorePoints.create(group, "theirs", name, {}).submitted();
  return backups.standing().filter((id) => !before.has(id));
}

async function remove(ids: readonly string[]): Promise<void> {
  for (const id of ids) backups.region.server.arm.resources.remove(id);
}
