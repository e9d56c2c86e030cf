/** A passphrase that is missing or wrong in the app: one clear reason, nothing touched; put right, all goes on. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ownSnapshots } from "../../support/faults/disk-content.ts";
import { ServiceBench, type BenchVm } from "../../support/faults/service-bench.ts";
import { startGuestServer, type GuestServer } from "../../support/guest-server.ts";

let bench: ServiceBench;
let guest: GuestServer;
let vm: BenchVm;
beforeAll(async () => {
  [bench, guest] = await Promise.all([ServiceBench.start(), startGuestServer()]);
  guest.level = "application";
  await bench.startHost();
  vm = await bench.makeVm("locked-out", { segments: 2, guestUrl: guest.url });
  await bench.stopHost();
});
afterAll(async () => {
  await bench.stop();
  await guest.close();
});

test.each([
  ["missing", "", /passphrase/i],
  ["wrong", "not the one it was made with", /passphrase/i],
] as const)(
  "A passphrase that is %s fails the run with that reason, before the guest is asked or a snapshot is made",
  async (what, text, words) => {
    await bench.startHost({ ...bench.settings(), FARSIDE_PASSPHRASE: text });
    const run = await bench.ended(await bench.beginBackup(vm), 30_000);
    expect(run).toMatchObject({ state: "failed", attempt: 1, error: { code: `passphrase-${what}` } });
    expect(run.error?.message).toMatch(words);
    expect(JSON.stringify(run) + bench.logged.join("\n")).not.toContain("not the one it was made with");
    expect(guest.history).toEqual([]);
    expect(await ownSnapshots(vm.container)).toEqual([]);
    await bench.proveNothingLeft();
    await bench.stopHost();
  },
);

test("The right passphrase at the next start: the next backup works, and what was left open is closed", async () => {
  const host = await bench.startHost();
  const run = await bench.ended(await bench.beginBackup(vm));
  await bench.proveBackup(vm, run);
  expect(run.consistency).toBe("application");
  expect(guest.isFrozen).toBe(false);
  await host.invokeTimer("reconcile");
  await bench.proveNothingLeft();
});
