/**
 * What goes wrong while the bytes of a VM's disks are read: the SAS, the endpoint behind it, the snapshot itself. As in faults.test.ts: how the run
 * ends, that nothing is left, and that the next scheduled backup works.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
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
let vm: ManagedVm;
beforeEach(async () => {
  backups = await startManagedBackups(vaultRegion);
});
afterEach(() => backups.stop());

const faults = () => backups.region.server.arm.faults;
const elapsed = () => {
  const { clock } = backups.pipeline.context;
  const from = clock.now();
  return () => clock.now() - from;
};

/** With something new on the disks: that it is in the next restore point. */
async function expectNextWorks(others: readonly string[] = []): Promise<void> {
  for (const disk of vm.diskIds.keys()) await vm.write(disk, 2 * mib, randomBytes(4096));
  const run = succeeded(await backups.nextScheduled());
  await backups.expectHeld(vm);
  await backups.expectLeft(run, others);
}

type Kind = "read" | "list";
const kindOf = ({ method, url = "" }: IncomingMessage): Kind | undefined =>
  method !== "GET" ? undefined : url.includes("comp=pagelist") ? "list" : url.includes("comp=") ? undefined : "read";

/** Once, at the request of this number and kind. */
function atRequest(kind: Kind, number: number, happens: (response: ServerResponse) => void): { happened: boolean } {
  const seen = { count: 0, happened: false };
  faults().beforeData = async (request, response) => {
    if (kindOf(request) !== kind || ++seen.count !== number) return;
    seen.happened = true;
    happens(response);
  };
  return seen;
}

describe("Access to a snapshot", () => {
  test("that is throttled for 1,200 s puts off that run for as long, and is not asked for before", async () => {
    vm = await backups.web();
    const throttled = new ServiceError(429, "TooManyRequests", "Too many.", { "Retry-After": "1200" });
    const fault = faults().planRequest(/^POST .*beginGetAccess/i, throttled);
    const waited = elapsed();
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(1);
    expect(waited()).toBeGreaterThan(1_200_000);
    await backups.expectLeft(run);
    await expectNextWorks();
  });

  test("that is throttled again and again for hours costs the run nothing but time", async () => {
    vm = await backups.web();
    const throttled = new ServiceError(429, "TooManyRequests", "Too many.", { "Retry-After": "1200" });
    const fault = faults().planRequest(/^POST .*beginGetAccess/i, throttled, 12);
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(12);
    expect(run.attempt).toBe(1);
    await backups.expectLeft(run);
    await expectNextWorks();
  });

  test("is waited for while somebody else's five SAS of the disk's snapshots stand", async () => {
    vm = await backups.web({ disks: 1, wanted: "crash" });
    const others = await sharedByOthers(5, 3600);
    const waited = elapsed();
    const run = succeeded(await backups.backup());
    expect(waited()).toBeGreaterThan(3_600_000 - 10 * 60_000);
    expect(run.attempt).toBe(1);
    await backups.expectLeft(run, others);
    await expectNextWorks(others);
  });

  test.each([
    ["500 InternalError at its end", 500, "InternalError"],
    ["409 AllocationFailed at its end", 409, "AllocationFailed"],
  ])("that fails once (%s) is asked for again", async (_, status, code) => {
    vm = await backups.web();
    const error = new ServiceError(status, code, "It did not work out.");
    const fault = faults().planOperation("access/begin", { kind: "fails", error });
    const run = succeeded(await backups.backup());
    expect(fault.happened()).toBe(1);
    expect(run.attempt).toBe(1);
    await backups.expectLeft(run);
    await expectNextWorks();
  });

  test("that is forbidden fails the run, which leaves nothing", async () => {
    vm = await backups.web();
    const error = new ServiceError(403, "AuthorizationFailed", "The client has no right to beginGetAccess.");
    const fault = faults().planRequest(/^POST .*beginGetAccess/i, error, 1000);
    const run = await backups.backup();
    fault.lift();
    expect(run).toMatchObject({
      state: "failed",
      error: { code: "forbidden", message: expect.stringContaining("no right to beginGetAccess") },
    });
    await backups.expectLeft(run);
    await expectNextWorks();
  });

  test("that cannot be given back at the end does not undo the backup, and is given back by the clean-up after it", async () => {
    vm = await backups.web();
    const error = new ServiceError(500, "InternalError", "It did not work out.");
    const fault = faults().planRequest(/^POST .*endGetAccess/i, error);
    const run = succeeded(await backups.backup());
    await backups.sweep();
    expect(fault.happened()).toBe(1);
    await backups.expectLeft(run);
    await expectNextWorks();
  });
});

describe("A read of a disk", () => {
  test("whose SAS ends in the middle goes on with a new one", async () => {
    vm = await backups.web();
    const fault = atRequest("read", 2, () => backups.pipeline.advance(3 * 3_600_000 + 60_000));
    const run = succeeded(await backups.backup());
    expect(fault.happened).toBe(true);
    await backups.expectHeld(vm);
    await backups.expectLeft(run);
    await expectNextWorks();
  });

  test("whose SAS somebody takes back in the middle goes on with a new one", async () => {
    vm = await backups.web();
    const { arm } = backups.region.server;
    const fault = atRequest("read", 2, () => {
      for (const { resourceId } of arm.grants.all()) arm.grants.end(resourceId);
    });
    const run = succeeded(await backups.backup());
    expect(fault.happened).toBe(true);
    await backups.expectHeld(vm);
    await backups.expectLeft(run);
    await expectNextWorks();
  });

  test.each(["read", "list"] as const)(
    "that the endpoint is too busy for (503 ServerBusy at a %s) is repeated",
    async (kind) => {
      vm = await backups.web();
      const fault = atRequest(kind, 2, () => {
        throw new ServiceError(503, "ServerBusy", "The server is busy.");
      });
      const run = succeeded(await backups.backup());
      expect(fault.happened).toBe(true);
      await backups.expectHeld(vm);
      await backups.expectLeft(run);
      await expectNextWorks();
    },
  );

  test.each(["read", "list"] as const)("that breaks off in the middle (%s) is repeated", async (kind) => {
    vm = await backups.web();
    const fault = atRequest(kind, 2, (response) => {
      const write = response.write.bind(response);
      const end = response.end.bind(response);
      const cut = (content: unknown): boolean => {
        const bytes = Buffer.from(content as Uint8Array);
        write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => response.destroy());
        return false;
      };
      response.write = cut;
      response.end = ((content?: unknown) => {
        if (content === undefined) end();
        else cut(content);
        return response;
      }) as typeof response.end;
    });
    const run = succeeded(await backups.backup());
    expect(fault.happened).toBe(true);
    await backups.expectHeld(vm);
    await backups.expectLeft(run);
    await expectNextWorks();
  });

  test("whose connection is cut is repeated", async () => {
    vm = await backups.web();
    const fault = atRequest("read", 1, (response) => void response.destroy());
    const run = succeeded(await backups.backup());
    expect(fault.happened).toBe(true);
    await backups.expectLeft(run);
    await expectNextWorks();
  });

  test.each([
    ["snapshot", { disks: 1, wanted: "crash" }],
    ["restore point", { disks: 2, wanted: "application" }],
  ] as const)("whose %s somebody deletes in the middle fails the run, and nothing half is kept", async (_, options) => {
    vm = await backups.web(options);
    const { arm } = backups.region.server;
    const fault = atRequest("read", 1, () => {
      for (const id of backups.standing()) {
        arm.grants.end(id);
        arm.resources.remove(id);
      }
    });
    const run = await backups.backup();
    expect(fault.happened).toBe(true);
    expect(run).toMatchObject({ state: "failed", error: { code: "not-found" } });
    await backups.expectLeft(run);
    await expectNextWorks();
  });
});

/** Snapshots of the first disk by another tool, each with a SAS. */
async function sharedByOthers(count: number, durationInSeconds: number): Promise<readonly string[]> {
  const { client } = backups.region;
  const { takes } = backups;
  const poll = { updateIntervalInMs: 1 };
  backups.takes = () => 0;
  const ids: string[] = [];
  for (let at = 0; at < count; at++) {
    const creationData = { createOption: "Copy", sourceResourceId: vm.diskIds[0] ?? "" };
    const model = { location: "westeurope", incremental: true, creationData };
    const made = await client.snapshots.createOrUpdate(group, `theirs-${at}`, model, poll);
    await client.snapshots.grantAccess(group, `theirs-${at}`, { access: "Read", durationInSeconds }, poll);
    ids.push(made.id ?? "");
  }
  backups.takes = takes;
  return ids;
}
