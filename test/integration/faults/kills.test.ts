/** Processes that die by SIGKILL in the middle of real copying: the run goes on with its messages, and ends right. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ServiceBench, type BenchVm } from "../../support/faults/service-bench.ts";
import { startGuestServer, type GuestServer } from "../../support/guest-server.ts";
import { eventually } from "../../support/host/local-app.ts";
import type { RunView } from "../../../shared/wire/http/run.ts";

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

/** Kills the worker while its requests of this kind are on their way, several times in a row. */
async function killWhile(kind: "sourceBlobs" | "vaultBlobs", runId: string, times: number): Promise<void> {
  const request = kind === "sourceBlobs" ? "read" : "put-page";
  const delay = bench.proxies[kind].inject(request, { kind: "delay", ms: 200 }, Number.POSITIVE_INFINITY);
  for (let kill = 1; kill <= times; kill++) {
    const [hits, deaths] = [delay.hits, bench.deaths()];
    await eventually("requests of this worker", () => delay.hits >= hits + 3, 30_000);
    expect((await bench.run(runId)).state).toBe("copying");
    await bench.host.killWorker();
    await eventually("a function that died", () => bench.deaths() > deaths);
  }
  bench.proxies[kind].reset();
}

let vm: BenchVm;
let first: RunView;

test("A worker that is killed three times in the middle of a backup loses nothing", async () => {
  vm = await bench.makeVm("killed", { disks: ["os", "data"], guestUrl: guest.url });
  const before = bench.deaths();
  const runId = await bench.beginBackup(vm);
  await killWhile("sourceBlobs", runId, 3);
  first = await bench.ended(runId);
  expect(bench.deaths() - before).toBeGreaterThanOrEqual(3);
  await bench.proveBackup(vm, first);
  expect(first).toMatchObject({ consistency: "application", attempt: 1 });
  expect(guest.isFrozen).toBe(false);
});

test("A worker that is killed three times in the middle of a restore loses nothing", async () => {
  const before = bench.deaths();
  const runId = await bench.beginRestore(vm.name, first.restorePointId ?? "", "killed");
  await killWhile("vaultBlobs", runId, 3);
  await bench.proveRestore(vm, await bench.ended(runId), "killed");
  expect(bench.deaths() - before).toBeGreaterThanOrEqual(3);
});

test("A worker that is killed while the guest is frozen: the guest thaws, the half set goes, and a new attempt makes the point", async () => {
  const frozen = await bench.makeVm("frozen", { segments: 2, disks: ["os", "data"], guestUrl: guest.url });
  await bench.stopHost();
  // An attempt counts as dead after twice the budget of a step.
  await bench.startHost({ ...bench.settings(), FARSIDE_STEP_BUDGET_SECONDS: "3" });
  const silent = bench.proxies.sourceBlobs.inject((seen) => seen.kind === "snapshot" && seen.path.endsWith("/data"), {
    kind: "silence",
  });
  const runId = await bench.beginBackup(frozen);
  await eventually("a snapshot that is asked for", () => silent.hits === 1);
  expect(guest.isFrozen).toBe(true);
  const died = bench.deaths();
  await bench.host.killWorker();
  await eventually("a function that died", () => bench.deaths() > died);
  await eventually("a guest that is thawed by the next delivery", () => !guest.isFrozen, 25_000);
  expect(guest.history.at(-1)).toBe("thaw");
  const run = await bench.ended(runId);
  await bench.proveBackup(frozen, run);
  expect(run).toMatchObject({ consistency: "application", attempt: 2 });
  expect(guest.isFrozen).toBe(false);
});
