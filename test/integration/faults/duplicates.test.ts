/** Every task message sent twice on the real queue, so that each step is delivered twice, mostly at once; and what is left without the source. */
import { QueueServiceClient } from "@azure/storage-queue";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { taskKinds } from "../../../shared/core/task.ts";
import { ServiceBench, type BenchVm } from "../../support/faults/service-bench.ts";
import { startGuestServer, type GuestServer } from "../../support/guest-server.ts";
import { depth, eventually } from "../../support/host/local-app.ts";
import type { SeenRequest } from "../../support/storage-proxy.ts";

let bench: ServiceBench;
let guest: GuestServer;
beforeAll(async () => {
  [bench, guest] = await Promise.all([ServiceBench.start(), startGuestServer()]);
  guest.level = "application";
  await bench.startHost();
});
afterEach(() => {
  for (const proxy of Object.values(bench.proxies)) proxy.reset();
});
afterAll(async () => {
  await bench.stop();
  await guest.close();
});

const isSend = (seen: SeenRequest): boolean => seen.method === "POST" && seen.path.endsWith("/messages");
const queueOf = (seen: SeenRequest): string => seen.path.split("/").at(-2) ?? "";
/** The kinds of tasks that were sent. */
const sent = (): ReadonlySet<string> => new Set(bench.proxies.queues.requests.filter(isSend).map(queueOf));

async function queuesRunDry(): Promise<void> {
  const service = QueueServiceClient.fromConnectionString(bench.settings()["AzureWebJobsStorage"] ?? "");
  for (const kind of taskKinds) {
    const queue = service.getQueueClient(kind);
    if (!(await queue.exists())) continue;
    // Copies that found the run at work look again when its claim would be over: those stay, with nothing to do.
    if (kind !== "start-backup") await eventually(`an empty queue ${kind}`, async () => (await depth(queue)) === 0);
    expect(await service.getQueueClient(`${kind}-poison`).exists()).toBe(false);
  }
}

let vm: BenchVm;
let pointId: string;

test("A backup whose every message comes twice makes one restore point, right", async () => {
  vm = await bench.makeVm("twice", { segments: 10, disks: ["os", "data"], guestUrl: guest.url });
  const doubled = bench.proxies.queues.inject(isSend, { kind: "twice" }, Number.POSITIVE_INFINITY);
  const run = await bench.ended(await bench.beginBackup(vm));
  await bench.proveBackup(vm, run);
  expect([...sent()].toSorted()).toEqual(["commit-restore-point", "copy-window", "start-backup"]);
  expect(doubled.hits).toBeGreaterThanOrEqual(22);
  await queuesRunDry();
  expect(run.attempt).toBe(1);
  expect(guest.history.filter((what) => what === "freeze")).toHaveLength(1);
  const { items } = await bench.call<{ items: readonly { restorePointId: string }[] }>(
    "GET",
    "vms/twice/restore-points",
  );
  expect(items).toHaveLength(1);
  pointId = run.restorePointId ?? "";
});

test("A restore whose every message comes twice writes the disks right", async () => {
  const doubled = bench.proxies.queues.inject(isSend, { kind: "twice" }, Number.POSITIVE_INFINITY);
  const run = await bench.ended(await bench.beginRestore(vm.name, pointId, "twice"));
  await bench.proveRestore(vm, run, "twice");
  expect([...sent()].toSorted()).toEqual(["finish-restore", "restore-window", "start-restore"]);
  expect(doubled.hits).toBeGreaterThan(2);
  await queuesRunDry();
});

test("Another app in the vault's region, with nothing but the vault, restores a point while the source region is gone", async () => {
  // Read while it stands.
  const expected = await bench.digests(vm);
  await bench.stopHost();
  await bench.stopRegion("source");
  await expect(fetch(bench.region("source").blobUrl)).rejects.toThrow(/fetch failed/);
  await bench.startHost(bench.settingsOfVaultRegion());
  const vaultUrl = bench.region("vault").blobUrl;
  const run = await bench.ended(await bench.beginRestore(vm.name, pointId, "alone", vaultUrl));
  expect([run.state, run.error?.message]).toEqual(["succeeded", undefined]);
  expect(await bench.restoredDigests(vm, "alone")).toEqual(expected);
  await bench.proveNothingLeft();
});
