/** Guests that fail, over real HTTP: a point never says more than was achieved, and the guest is always thawed in the end. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { reconcile } from "../../../shared/operations/reconcile.ts";
import { mib, PipelineBench, type Scene } from "../../support/faults/pipeline-bench.ts";
import { startGuestServer, type GuestServer } from "../../support/guest-server.ts";
import { eventually } from "../../support/host/local-app.ts";

const never = new AbortController().signal;
let bench: PipelineBench;
let guest: GuestServer;
beforeAll(async () => {
  [bench, guest] = await Promise.all([PipelineBench.start(), startGuestServer()]);
  guest.level = "application";
});
afterEach(() => {
  guest.fail(undefined);
  bench.reset();
});
afterAll(async () => {
  await bench.stop();
  await guest.close();
});

async function sceneOf(name: string, least: "application" | "crash", freezeTtlSeconds = 2): Promise<Scene> {
  const vm = { guestUrl: guest.url, wanted: "application", least, freezeTtlSeconds } as const;
  return bench.scene({ name, disks: ["os", "data"], sizeBytes: 6 * mib, vm });
}

const thawedInTheEnd = (): Promise<unknown> => eventually("a guest that is thawed", () => !guest.isFrozen, 5000);

const faults = [
  ["does not answer at all", "no-answer"],
  ["freezes and never answers", "freeze-without-answer"],
  ["freezes, answers, and hangs until it thaws by itself", "hang-when-frozen"],
] as const;

test.each(faults)(
  "Of a guest that %s, the point says crash with a note where the policy takes that",
  async (_, fault) => {
    const scene = await sceneOf(`crash-${fault}`, "crash");
    guest.fail(fault);
    const run = await scene.backup();
    const manifest = await scene.prove(run);
    expect(manifest.consistency).toMatchObject({
      requested: "application",
      achieved: "crash",
      note: "The guest could not be frozen in several tries.",
    });
    // Tried again as long as the retry window of a minute had room, and then without it.
    expect(run.attempt).toBeGreaterThan(2);
    await thawedInTheEnd();
    guest.fail(undefined);
    // The control: the same guest, when it answers, gives an application-consistent point at once.
    expect((await scene.prove(await scene.backup())).consistency.achieved).toBe("application");
    expect(guest.isFrozen).toBe(false);
  },
);

test.each(faults)(
  "Of a guest that %s, the run fails where the policy takes nothing below application, and the next one works",
  async (_, fault) => {
    const scene = await sceneOf(`strict-${fault}`, "application");
    guest.fail(fault);
    const run = await scene.backup();
    expect(run).toMatchObject({ state: "failed", error: { code: "consistency-not-met" } });
    expect("error" in run ? run.error.message : "").toMatch(/The guest at 127\.0\.0\.1.* until the retry window ended/);
    await thawedInTheEnd();
    guest.fail(undefined);
    // What the hanging guest kept the run from cleaning up, the reconciler does.
    await reconcile(scene.pipeline.context, { sweep: "all" }, never);
    await scene.proveNothingLeft();
    expect((await scene.prove(await scene.backup())).consistency.achieved).toBe("application");
    expect(guest.isFrozen).toBe(false);
  },
);

test("A guest that thaws by itself before it could confirm is never recorded as frozen: the set is dropped, and taken again", async () => {
  const scene = await sceneOf("thawed-early", "application", 1);
  const slow = bench.source.inject((seen) => seen.kind === "snapshot" && seen.path.endsWith("/data"), {
    kind: "delay",
    ms: 1500,
  });
  const run = await scene.backup();
  expect(slow.hits).toBe(1);
  expect(guest.history.filter((what) => what === "self-thaw").length).toBeGreaterThan(0);
  const manifest = await scene.prove(run);
  expect(run.attempt).toBe(2);
  expect(manifest.consistency.achieved).toBe("application");
});

test("A guest that thaws by itself before it could confirm, every time, gives a point that says crash", async () => {
  const scene = await sceneOf("always-thawed-early", "crash", 1);
  const slow = bench.source.inject("snapshot", { kind: "delay", ms: 1300 }, Number.POSITIVE_INFINITY);
  const run = await scene.backup();
  const manifest = await scene.prove(run);
  expect(slow.hits).toBe(2 * run.attempt);
  expect(manifest.consistency.achieved).toBe("crash");
  expect(manifest.consistency.note).toMatch(/could not be frozen/);
});

test("A guest that thaws late does not hold the backup up, and ends thawed", async () => {
  const scene = await sceneOf("late", "application", 5);
  guest.thawDelayMs = 900;
  guest.fail("thaw-late");
  const run = await scene.backup();
  const manifest = await scene.prove(run);
  expect(manifest.consistency.achieved).toBe("application");
  await sleep(1000);
  expect(guest.isFrozen).toBe(false);
});
