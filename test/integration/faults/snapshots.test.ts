/** A snapshot that fails on the second of three disks: no half set is left, and the final point is of one attempt. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ownSnapshots } from "../../support/faults/disk-content.ts";
import { PipelineBench } from "../../support/faults/pipeline-bench.ts";
import { startGuestServer, type GuestServer } from "../../support/guest-server.ts";
import type { SeenRequest } from "../../support/storage-proxy.ts";

let bench: PipelineBench;
let guest: GuestServer;
beforeAll(async () => {
  [bench, guest] = await Promise.all([PipelineBench.start(), startGuestServer()]);
});
afterEach(() => bench.reset());
afterAll(async () => {
  await bench.stop();
  await guest.close();
});

const ofSecond = (seen: SeenRequest): boolean => seen.kind === "snapshot" && seen.path.endsWith("/b");

test.each([
  ["answered with 500", "answer", { kind: "answer", status: 500, code: "InternalError" }],
  ["answered with 503 and a Retry-After", "busy", { kind: "answer", status: 503, headers: { "retry-after": "2" } }],
  ["made and its answer lost", "lost", { kind: "reset", when: "after" }],
] as const)(
  "A second snapshot that was %s leaves no half set, and all three are taken again",
  async (_, name, fault) => {
    const scene = await bench.scene({
      name: `second-${name}`,
      disks: ["a", "b", "c"],
      vm: { guestUrl: guest.url, wanted: "filesystem", least: "filesystem" },
    });
    const injected = bench.source.inject(ofSecond, fault);
    const step = await scene.firstStep();
    expect(injected.hits).toBe(1);
    expect(step).toMatchObject({ outcome: "waiting", run: { state: "queued", attempt: 1 } });
    expect(await ownSnapshots(scene.container)).toEqual([]);
    expect(guest.isFrozen).toBe(false);
    const run = await step.finish();
    const manifest = await scene.prove(run);
    expect(manifest.attemptId).toMatch(/-2$/);
    expect(run.attempt).toBe(2);
    expect(manifest.disks.map(({ snapshot }) => snapshot["blob"])).toEqual(["a", "b", "c"]);
  },
);

test("A second snapshot that fails, and a removal that fails too: the next attempt takes the half set away", async () => {
  const scene = await bench.scene({ name: "half-left", disks: ["a", "b", "c"] });
  const snapshot = bench.source.inject(ofSecond, { kind: "answer", status: 500, code: "InternalError" });
  const removal = bench.source.inject("remove", { kind: "answer", status: 403, code: "AuthorizationFailure" }, 3);
  const step = await scene.firstStep();
  expect([snapshot.hits, removal.hits]).toEqual([1, 3]);
  const left = await ownSnapshots(scene.container);
  // The control: there was something to take away.
  expect(left.length).toBeGreaterThan(0);
  await scene.prove(await step.finish());
});
