/** What every catalog must do. Each test uses rows of its own, so that a catalog may be shared by the suite. */
import { beforeAll, describe, expect, test } from "vitest";
import { parsePolicyName, parseVmId, parseVmName } from "../../shared/core/ids.ts";
import type { BackupRun } from "../../shared/core/run.ts";
import { timestamp } from "../../shared/core/timestamp.ts";
import type { Catalog, Page, Stored } from "../../shared/ports/catalog.ts";
import {
  sampleBackupRuns,
  sampleEpochMs,
  sampleEvent,
  samplePoint,
  samplePolicy,
  sampleRestoreRuns,
  sampleRunId,
  sampleVm,
  sampleVmState,
} from "../support/sample-rows.ts";

/** `make` gives a catalog without rows. */
export function catalogConformance(make: () => Promise<Catalog>): void {
  const signal = AbortSignal.timeout(200_000);
  let catalog: Catalog;
  beforeAll(async () => {
    catalog = await make();
  });

  const insert = async <T>(
    collection: { insert(value: T, signal: AbortSignal): Promise<Stored<T> | "exists"> },
    value: T,
  ) => {
    const stored = await collection.insert(value, signal);
    if (stored === "exists") throw new Error("The row of a test was there already.");
    return stored;
  };

  describe("A row", () => {
    test("comes back as it was written, in every collection and with every optional property", async () => {
      const point = samplePoint(900);
      const event = sampleEvent(sampleRunId(900), 1);
      const cursor = { policy: samplePolicy.name, slot: timestamp(sampleEpochMs) };
      const account = {
        account: "https://a.blob.core.windows.net/x?y#z",
        diff: "wrong",
        foundBy: "probe",
        probedAt: cursor.slot,
        note: "n",
      } as const;
      const report = {
        scope: "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/café",
        at: cursor.slot,
        completeAt: cursor.slot,
        vms: 2,
        tagged: 1,
        error: { code: "throttled", message: "Later." },
        notBefore: cursor.slot,
        problems: [{ resourceId: "/subscriptions/x", problem: "There is no policy." }],
        problemsInAll: 1,
      } as const;
      const request = { requestId: "ab".repeat(32), runId: sampleRunId(901), createdAt: cursor.slot };
      const values = [
        [await insert(catalog.policies, samplePolicy), await catalog.policies.get(samplePolicy.name, signal)],
        [await insert(catalog.vms, sampleVm), await catalog.vms.get(sampleVm.name, signal)],
        [await insert(catalog.vmStates, sampleVmState), await catalog.vmStates.get(sampleVmState.vmId, signal)],
        [await insert(catalog.restorePoints, point), await catalog.restorePoints.get(point, signal)],
        [await insert(catalog.runEvents, event), await catalog.runEvents.get(event, signal)],
        [await insert(catalog.scheduleCursors, cursor), await catalog.scheduleCursors.get(cursor.policy, signal)],
        [await insert(catalog.sourceAccounts, account), await catalog.sourceAccounts.get(account.account, signal)],
        [
          await insert(catalog.discoveryReports, report),
          await catalog.discoveryReports.get(report.scope.toLowerCase(), signal),
        ],
        [
          await insert(catalog.idempotentRequests, request),
          await catalog.idempotentRequests.get(request.requestId, signal),
        ],
      ];
      for (const [written, read] of values) expect(read).toEqual(written);
      expect(values.map(([written]) => written?.value)).toEqual([
        samplePolicy,
        sampleVm,
        sampleVmState,
        point,
        event,
        cursor,
        account,
        report,
        request,
      ]);
    });

    test("of a run comes back in each of its states", async () => {
      for (const run of [...sampleBackupRuns(910), ...sampleRestoreRuns(930)]) {
        await insert(catalog.runs, run);
        expect((await catalog.runs.get(run.runId, signal))?.value).toEqual(run);
      }
    });

    test.each([
      ["of 840 KiB", "x".repeat(430_000)],
      ["of many characters outside ASCII", "💾ü".repeat(20_000)],
    ])("%s comes back", async (_, cron) => {
      const name = parsePolicyName(`long-${cron.length}`);
      await insert(catalog.policies, { ...samplePolicy, name, schedule: { cron, timeZone: "UTC", jitterSeconds: 0 } });
      const read = await catalog.policies.get(name, signal);
      expect(read?.value.schedule?.cron === cron).toBe(true);
    });

    test("larger than a row can be is refused with the reason", async () => {
      const name = parsePolicyName("longer");
      const schedule = { cron: "x".repeat(460_000), timeZone: "UTC", jitterSeconds: 0 };
      await expect(catalog.policies.insert({ ...samplePolicy, name, schedule }, signal)).rejects.toThrow(
        /all\/longer.*15 parts/,
      );
      expect(await catalog.policies.get(name, signal)).toBeUndefined();
    });

    test("that never was is undefined, and removing it says absent", async () => {
      expect(await catalog.policies.get(parsePolicyName("never"), signal)).toBeUndefined();
      expect(await catalog.policies.remove(parsePolicyName("never"), undefined, signal)).toBe("absent");
    });

    test("that does not fit its schema is not written", async () => {
      const policy = { ...samplePolicy, name: parsePolicyName("unfit"), rpoSeconds: -1 };
      await expect(catalog.policies.insert(policy, signal)).rejects.toMatchObject({ code: "internal" });
      expect(await catalog.policies.get(policy.name, signal)).toBeUndefined();
    });
  });

  describe("A conditional write", () => {
    test("replaces under the ETag that was read and gives the next one", async () => {
      const first = await insert(catalog.vms, { ...sampleVm, name: parseVmName("replace") });
      const second = await catalog.vms.replace(first, { ...first.value, osType: "linux" }, signal);
      if (second === "conflict") throw new Error("conflict");
      expect(second.etag).not.toBe(first.etag);
      expect(await catalog.vms.get(first.value.name, signal)).toEqual(second);
      const third = await catalog.vms.replace(second, first.value, signal);
      expect(third).not.toBe("conflict");
    });

    test("with an ETag of the past is a conflict and changes nothing", async () => {
      const first = await insert(catalog.vms, { ...sampleVm, name: parseVmName("stale") });
      const second = await catalog.vms.replace(first, { ...first.value, osVersion: "2" }, signal);
      expect(await catalog.vms.replace(first, { ...first.value, osVersion: "3" }, signal)).toBe("conflict");
      expect(await catalog.vms.remove(first.value.name, first, signal)).toBe("conflict");
      expect(await catalog.vms.get(first.value.name, signal)).toEqual(second);
    });

    test("on a row that is gone is a conflict", async () => {
      const stored = await insert(catalog.vms, { ...sampleVm, name: parseVmName("gone") });
      expect(await catalog.vms.remove(stored.value.name, stored, signal)).toBe("removed");
      expect(await catalog.vms.replace(stored, stored.value, signal)).toBe("conflict");
      expect(await catalog.vms.get(stored.value.name, signal)).toBeUndefined();
    });

    test("on a row that was removed and made again is a conflict", async () => {
      const value = { ...sampleVm, name: parseVmName("again") };
      const first = await insert(catalog.vms, value);
      await catalog.vms.remove(value.name, undefined, signal);
      await insert(catalog.vms, value);
      expect(await catalog.vms.replace(first, value, signal)).toBe("conflict");
    });

    test("drops the properties that the new value does not have", async () => {
      const first = await insert(catalog.vmStates, { ...sampleVmState, vmId: parseVmId("drops") });
      await catalog.vmStates.replace(first, { vmId: first.value.vmId }, signal);
      expect((await catalog.vmStates.get(first.value.vmId, signal))?.value).toEqual({ vmId: "drops" });
    });

    test("of a shorter document leaves no piece of the longer one behind", async () => {
      const name = parsePolicyName("shrinks");
      const schedule = { cron: "x".repeat(100_000), timeZone: "UTC", jitterSeconds: 0 };
      const first = await insert(catalog.policies, { ...samplePolicy, name, schedule });
      const short = { ...samplePolicy, name };
      await catalog.policies.replace(first, short, signal);
      expect((await catalog.policies.get(name, signal))?.value).toEqual(short);
    });
  });

  describe("Of writers that race", () => {
    test("exactly one of 20 inserts wins", async () => {
      const names = Array.from({ length: 20 }, (_, n) => String(n));
      const answers = await Promise.all(
        names.map(async (osVersion) =>
          catalog.vms.insert({ ...sampleVm, name: parseVmName("race-insert"), osVersion }, signal),
        ),
      );
      const winners = answers.filter((answer) => answer !== "exists");
      expect(winners).toHaveLength(1);
      expect(await catalog.vms.get(parseVmName("race-insert"), signal)).toEqual(winners[0]);
    });

    test("exactly one of 20 replacements wins, and no increment of a counter is lost", async () => {
      const name = parseVmName("race-replace");
      let stored = await insert(catalog.vms, { ...sampleVm, name, osVersion: "0" });
      for (let round = 0; round < 5; round++) {
        const from = stored;
        const next = { ...from.value, osVersion: String(Number(from.value.osVersion) + 1) };
        const answers = await Promise.all(
          Array.from({ length: 20 }, async () => catalog.vms.replace(from, next, signal)),
        );
        const winners = answers.filter((answer) => answer !== "conflict");
        expect(winners).toHaveLength(1);
        stored = winners[0] ?? from;
      }
      expect((await catalog.vms.get(name, signal))?.value.osVersion).toBe("5");
    });
  });

  describe("A list", () => {
    const all = async <T>(list: (continuation: string | undefined) => Promise<Page<T>>): Promise<T[]> => {
      const values: T[] = [];
      let continuation: string | undefined;
      do {
        const page = await list(continuation);
        values.push(...page.items.map((item) => item.value));
        continuation = page.continuation;
      } while (continuation !== undefined);
      return values;
    };

    test("gives runs newest first, page by page, and only those that every given column fits", async () => {
      const vm = parseVmName("listed");
      const runs: BackupRun[] = Array.from({ length: 25 }, (_, n) => {
        const common = { ...sampleBackupRuns(100 + n)[0], vm, runId: sampleRunId(100 + n) };
        return { ...common, state: "queued" } as BackupRun;
      });
      const ended: BackupRun = { ...sampleBackupRuns(200)[6], runId: sampleRunId(200), vm } as BackupRun;
      // Written out of order, so that the order of the list is not the order of writing.
      for (const run of [...runs, ended].sort((a, b) => (a.runId.slice(-9) + a.runId < b.runId ? 1 : -1))) {
        await insert(catalog.runs, run);
      }
      const list = (where: object) =>
        all(async (continuation) =>
          catalog.runs.list(
            { where: { vm, ...where }, limit: 7, ...(continuation === undefined ? {} : { continuation }) },
            signal,
          ),
        );
      const newestFirst = [ended, ...runs.toReversed()].map((run) => run.runId);
      expect((await list({})).map((run) => run.runId)).toEqual(newestFirst);
      expect((await list({ active: true })).map((run) => run.runId)).toEqual(newestFirst.slice(1));
      expect((await list({ active: false })).map((run) => run.runId)).toEqual([ended.runId]);
      expect((await list({ state: "cancelled" })).map((run) => run.runId)).toEqual([ended.runId]);
      expect(await list({ kind: "restore" })).toEqual([]);
    });

    test("shows a run as active until it has ended and its traces are removed", async () => {
      const vm = parseVmName("active");
      const runs = sampleBackupRuns(300).map((run) => ({ ...run, vm }));
      for (const run of runs) await insert(catalog.runs, run);
      const active = await catalog.runs.list({ where: { vm, active: true }, limit: 100 }, signal);
      expect(active.items.map((item) => item.value.state)).toEqual([
        "succeeded",
        "committing",
        "copying",
        "snapshotting",
        "queued",
      ]);
    });

    test("follows a replacement that changes a column", async () => {
      const stored = await insert(catalog.vms, {
        ...sampleVm,
        name: parseVmName("moves"),
        policy: parsePolicyName("old"),
      });
      await catalog.vms.replace(stored, { ...stored.value, policy: parsePolicyName("new") }, signal);
      const inOld = await catalog.vms.list({ where: { policy: parsePolicyName("old") }, limit: 10 }, signal);
      const inNew = await catalog.vms.list({ where: { policy: parsePolicyName("new") }, limit: 10 }, signal);
      expect(inOld.items).toEqual([]);
      expect(inNew.items.map((item) => item.value.name)).toEqual(["moves"]);
    });

    test("gives the events of a run oldest first, and one event for the same instant and name", async () => {
      const runId = sampleRunId(400);
      for (const n of [3, 1, 2]) await insert(catalog.runEvents, sampleEvent(runId, n));
      await insert(catalog.runEvents, sampleEvent(sampleRunId(401), 1));
      expect(await catalog.runEvents.insert(sampleEvent(runId, 2), signal)).toBe("exists");
      const events = await catalog.runEvents.list({ where: { runId }, limit: 10 }, signal);
      expect(events.items.map((item) => item.value.message)).toEqual(["Event 1", "Event 2", "Event 3"]);
    });

    test("gives the restore points of a VM newest first", async () => {
      const vmId = parseVmId("points");
      for (const n of [2, 1, 3]) await insert(catalog.restorePoints, { ...samplePoint(n), vmId });
      await insert(catalog.restorePoints, { ...samplePoint(2), vmId: parseVmId("points-other") });
      const points = await catalog.restorePoints.list({ where: { vmId }, limit: 10 }, signal);
      expect(points.items.map((item) => item.value.pointId)).toEqual([3, 2, 1].map((n) => samplePoint(n).pointId));
    });

    test("can be read on while rows are removed, and refuses a continuation that no list gave", async () => {
      const vmId = parseVmId("removed");
      for (let n = 1; n <= 6; n++) await insert(catalog.restorePoints, { ...samplePoint(n), vmId });
      const first = await catalog.restorePoints.list({ where: { vmId }, limit: 2 }, signal);
      for (const item of first.items) await catalog.restorePoints.remove(item.value, item, signal);
      const rest = await all(async (continuation) =>
        catalog.restorePoints.list(
          { where: { vmId }, limit: 2, continuation: continuation ?? first.continuation ?? "" },
          signal,
        ),
      );
      expect(rest.map((point) => point.pointId)).toEqual([4, 3, 2, 1].map((n) => samplePoint(n).pointId));
      await expect(catalog.runs.list({ limit: 2, continuation: "garbage" }, signal)).rejects.toMatchObject({
        code: "bad-input",
      });
    });
  });

  test("A call whose signal is aborted does nothing", async () => {
    const name = parsePolicyName("aborted");
    await expect(catalog.policies.insert({ ...samplePolicy, name }, AbortSignal.abort())).rejects.toMatchObject({
      name: "AbortError",
    });
    expect(await catalog.policies.get(name, signal)).toBeUndefined();
  });
}
