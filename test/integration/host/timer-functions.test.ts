import { BlobServiceClient, type ContainerClient } from "@azure/storage-blob";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, HostBench } from "../../support/host/local-app.ts";

let bench: HostBench;
let container: ContainerClient;

beforeAll(async () => {
  bench = await HostBench.start();
  container = BlobServiceClient.fromConnectionString(bench.storage).getContainerClient("azure-webjobs-hosts");
  await container.createIfNotExists();
});
afterAll(() => bench.stop());

interface Status {
  Last: string;
  Next: string;
  LastUpdated: string;
}

const statusBlob = (hostId: string, name: string) =>
  container.getBlockBlobClient(`timers/${hostId}/Host.Functions.${name}/status`);

async function readStatus(hostId: string, name: string): Promise<Status | undefined> {
  const bytes = await statusBlob(hostId, name)
    .downloadToBuffer()
    .catch(() => undefined);
  return bytes === undefined ? undefined : (JSON.parse(bytes.toString()) as Status);
}

async function writeStatus(hostId: string, name: string, status: Status): Promise<void> {
  const text = JSON.stringify(status);
  await statusBlob(hostId, name).upload(text, text.length);
}

const hourly = `app.timer("hourly", { schedule: "0 0 * * * *", handler: (timer) => note(timer) });`;
const hourMs = 3_600_000;
const wholeHour = (offset: number): string => {
  const hour = Math.floor(Date.now() / hourMs) * hourMs + offset * hourMs;
  return new Date(hour).toISOString().replace("Z", "+00:00");
};

describe("A timer function", () => {
  test("runs at each occurrence, with no status where the schedule is shorter than a minute", async () => {
    const app = await bench.app({
      source: `app.timer("often", { schedule: "* * * * * *", handler: (timer) => note(timer) });`,
    });
    await app.host({}, { hostId: "often" });
    await eventually("three runs", async () => (await app.noted()).length >= 3);
    const [first, second, third] = await app.notes();
    expect(first?.value).toEqual({ schedule: { adjustForDST: true }, scheduleStatus: null, isPastDue: false });
    expect((third?.at ?? 0) - (second?.at ?? 0)).toBeGreaterThan(500);
    expect((second?.at ?? 0) % 1000, "just after the second").toBeLessThan(500);
    expect(await readStatus("often", "often")).toBeUndefined();
  });

  test("is not past due when it was never seen: its status is written and it waits", async () => {
    const app = await bench.app({ source: hourly });
    await app.host({}, { hostId: "fresh" });
    const status = await eventually("a status", () => readStatus("fresh", "hourly"));
    expect(status).toMatchObject({ Last: "0001-01-01T00:00:00+00:00", Next: wholeHour(1) });
    await sleep(300);
    expect(await app.noted()).toEqual([]);
  });

  test("catches up once, past due, however many occurrences were missed, and does not again at the next start", async () => {
    const app = await bench.app({ source: hourly });
    const last = wholeHour(-50);
    await writeStatus("behind", "hourly", { Last: last, Next: wholeHour(-49), LastUpdated: last });
    const host = await app.host({}, { hostId: "behind" });
    await eventually("the catch-up", async () => (await app.noted()).length > 0);
    await eventually("the status after it", async () => (await readStatus("behind", "hourly"))?.Next === wholeHour(1));
    await sleep(300);
    expect(await app.noted()).toEqual([
      {
        isPastDue: true,
        schedule: { adjustForDST: true },
        scheduleStatus: { last, next: wholeHour(-49), lastUpdated: last },
      },
    ]);
    await host.stop();
    await app.host({}, { hostId: "behind" });
    await sleep(500);
    expect(await app.noted()).toHaveLength(1);
  });

  test("does not catch up when its schedule was changed meanwhile: the control is the test before", async () => {
    const app = await bench.app({ source: hourly });
    const last = wholeHour(-50);
    // The status of a daily schedule.
    await writeStatus("changed", "hourly", { Last: last, Next: wholeHour(-26), LastUpdated: last });
    await app.host({}, { hostId: "changed" });
    await eventually("the new status", async () => (await readStatus("changed", "hourly"))?.Next === wholeHour(1));
    await sleep(300);
    expect(await app.noted()).toEqual([]);
  });

  test("is caught up at the next start when the host's stop cut it off", async () => {
    const app = await bench.app({
      source: `app.timer("hourly", { schedule: "0 0 * * * *", handler: async (timer) => { note(timer.isPastDue); await sleep((await import("node:fs")).readFileSync("notes.jsonl", "utf8").length < 50 ? 60_000 : 0); } });`,
    });
    const last = wholeHour(-3);
    await writeStatus("cut", "hourly", { Last: last, Next: wholeHour(-2), LastUpdated: last });
    const host = await app.host({ stopGraceMs: 200 }, { hostId: "cut" });
    await eventually("the first catch-up", async () => (await app.noted()).length === 1);
    await host.stop();
    expect((await readStatus("cut", "hourly"))?.Next).toBe(wholeHour(-2));
    await app.host({}, { hostId: "cut" });
    await eventually("the status", async () => (await readStatus("cut", "hourly"))?.Next === wholeHour(1));
    expect(await app.noted()).toEqual([true, true]);
  });

  test("does not overlap with itself: what falls due during a long run is skipped", async () => {
    const app = await bench.app({
      source: `let now = 0; app.timer("slow", { schedule: "* * * * * *", handler: async () => { note(++now); await sleep(2300); now--; } });`,
    });
    await app.host();
    await eventually("three runs", async () => (await app.noted()).length >= 3);
    expect(new Set(await app.noted())).toEqual(new Set([1]));
    const [first, second] = await app.notes();
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(2300);
  });

  test("goes on by its schedule after a failure, which is not tried again", async () => {
    const app = await bench.app({
      source: `app.timer("failing", { schedule: "*/2 * * * * *", handler: () => { note("run"); throw new Error("no"); } });`,
    });
    await app.host();
    await eventually("two runs", async () => (await app.noted()).length >= 2);
    const [first, second] = await app.notes();
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(1500);
  });

  test("is run by one of two hosts with the same id, and by the other when the first has stopped", async () => {
    const source = `app.timer("shared", { schedule: "* * * * * *", handler: () => note("run") });`;
    const [one, two] = [await bench.app({ source }), await bench.app({ source })];
    const first = await one.host({}, { hostId: "shared" });
    await eventually("the first runs it", async () => (await one.noted()).length > 0);
    await two.host({ timerLeaseRetryMs: 200 }, { hostId: "shared" });
    await sleep(2500);
    expect(await two.noted()).toEqual([]);
    await first.stop();
    await eventually("the second runs it", async () => (await two.noted()).length > 0);
  });

  test("is taken over after the time of the lease from a host that was killed and could not give it back", async () => {
    const app = await bench.app({
      source: `app.timer("orphaned", { schedule: "* * * * * *", handler: () => note("run") });`,
    });
    const blob = container.getBlockBlobClient("locks/orphaned/Host.Functions.orphaned.Listener");
    await blob.upload("", 0);
    await blob.getBlobLeaseClient("0f6e9c8a-6b3f-4d7a-9a51-2f0c0d9d5a11").acquireLease(15);
    const takenAt = Date.now();
    await app.host({ timerLeaseRetryMs: 200 }, { hostId: "orphaned" });
    await eventually("a run", async () => (await app.noted()).length > 0, 30_000);
    expect(Date.now() - takenAt).toBeGreaterThan(14_000);
  });

  test("can be run by hand: by the host's method, which waits, and over HTTP with the master key, which does not", async () => {
    const app = await bench.app({
      source: `app.timer("yearly", { schedule: "0 0 0 1 1 *", handler: (timer) => note(timer.isPastDue) });
        app.timer("broken", { schedule: "0 0 0 1 1 *", handler: () => { throw new Error("broken timer"); } });
        app.storageQueue("reader", { queueName: "by-hand", connection: "", handler: (item) => note({ item }) });`,
    });
    const host = await app.host();
    await host.invokeTimer("yearly");
    expect(await app.noted()).toEqual([false]);
    await expect(host.invokeTimer("broken")).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/broken failed: broken timer/),
    });
    await expect(host.invokeTimer("none")).rejects.toMatchObject({ code: "not-found" });

    const post = async (name: string, headers: Record<string, string>, body?: string): Promise<number> =>
      (await fetch(`${host.url}/admin/functions/${name}`, { method: "POST", headers, ...(body ? { body } : {}) }))
        .status;
    const master = { "x-functions-key": host.masterKey };
    expect(await post("yearly", {})).toBe(401);
    expect(await post("yearly", { "x-functions-key": host.hostKey })).toBe(401);
    expect(await post("nothing", master)).toBe(404);
    expect(await post("reader", master, "{")).toBe(400);
    expect(await post("YEARLY", master, "{}")).toBe(202);
    expect(await post("reader", master, JSON.stringify({ input: '{"n":1}' }))).toBe(202);
    await eventually("both", async () => (await app.noted()).length === 3);
    expect(await app.noted()).toContainEqual({ item: { n: 1 } });
  });
});
