/** A region that stops and comes back in the middle of a run, and one that hangs for a while: the run goes on by itself. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ServiceBench, type BenchVm } from "../../support/faults/service-bench.ts";
import { startGuestServer, type GuestServer } from "../../support/guest-server.ts";

let bench: ServiceBench;
let guest: GuestServer;
let vm: BenchVm;
beforeAll(async () => {
  [bench, guest] = await Promise.all([ServiceBench.start(), startGuestServer()]);
  guest.level = "application";
  await bench.startHost();
  vm = await bench.makeVm("outage", { segments: 16, guestUrl: guest.url });
});
afterEach(() => {
  for (const proxy of Object.values(bench.proxies)) proxy.reset();
});
afterAll(async () => {
  await bench.stop();
  await guest.close();
});

/** A backup that is in the middle, held there until `goOn`. The first reads every chunk, later ones too: the emulator's list says nothing. */
async function middleOfBackup(): Promise<{ readonly runId: string; readonly goOn: () => void }> {
  const { sourceBlobs } = bench.proxies;
  sourceBlobs.inject("read", { kind: "delay", ms: 250 }, Number.POSITIVE_INFINITY);
  const runId = await bench.beginBackup(vm);
  const run = await bench.inTheMiddle(runId);
  expect(run.progress?.windowsDone).toBeLessThan(run.progress?.windows ?? 0);
  return { runId, goOn: () => sourceBlobs.reset() };
}

test.each(["vault", "source"] as const)(
  "A backup whose %s region is stopped and started again goes on",
  async (which) => {
    const { runId, goOn } = await middleOfBackup();
    const before = bench.region(which).pid;
    await bench.restartRegion(which, 1500);
    expect(bench.region(which).pid).not.toBe(before);
    goOn();
    const run = await bench.ended(runId);
    await bench.proveBackup(vm, run);
    expect(run).toMatchObject({ attempt: 1, consistency: "application" });
    expect(guest.isFrozen).toBe(false);
  },
);

test.each([
  ["vault", 25_000],
  ["source", 45_000],
] as const)("A backup whose %s region hangs for %i ms goes on", async (which, ms) => {
  const { runId, goOn } = await middleOfBackup();
  bench.region(which).freeze();
  goOn();
  await sleep(ms);
  bench.region(which).thaw();
  const run = await bench.ended(runId);
  await bench.proveBackup(vm, run);
  expect(run).toMatchObject({ attempt: 1, consistency: "application" });
  expect(guest.isFrozen).toBe(false);
});

test("A restore whose vault region is stopped and started again goes on", async () => {
  const run = await bench.ended(await bench.beginBackup(vm));
  const { vaultBlobs } = bench.proxies;
  const slow = vaultBlobs.inject("put-page", { kind: "delay", ms: 250 }, Number.POSITIVE_INFINITY);
  const runId = await bench.beginRestore(vm.name, run.restorePointId ?? "", "outage");
  await bench.inTheMiddle(runId, 0);
  while (slow.hits < 6) await sleep(20);
  await bench.restartRegion("vault", 1500);
  vaultBlobs.reset();
  const restored = await bench.ended(runId);
  await bench.proveRestore(vm, restored, "outage");
  expect(restored.state).toBe("succeeded");
});
