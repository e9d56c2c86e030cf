/** The HTTP API as the real host serves it: keys, addresses, idempotency, one active run, the schedule's tick. */
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runViewSchema, type RunView } from "../../../shared/wire/http/run.ts";
import { parsed, startStackShell, type StackShell } from "../../support/stack-shell.ts";

let shell: StackShell;
let diskUrl: string;

beforeAll(async () => {
  shell = await startStackShell();
  const image = join(shell.folder, "os.raw");
  await writeFile(image, randomBytes(3 * 1024 * 1024));
  diskUrl = parsed<{ url: string }>(await shell.run(["disk", "import", image, "os", "--json"])).url;
});
afterAll(() => shell?.stop());

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${shell.stack.apiUrl}/api/${path}`, {
    method,
    headers: { "x-functions-key": shell.stack.apiKey, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}

async function untilEnded(runId: string): Promise<RunView> {
  for (;;) {
    const run = runViewSchema.parse((await call("GET", `runs/${runId}`)).body);
    if (run.finishedAt !== undefined) return run;
    await sleep(200);
  }
}

describe("Keys", () => {
  test("are needed everywhere but for health", async () => {
    const open = await fetch(`${shell.stack.apiUrl}/api/health`);
    expect(open.status).toBe(200);
    expect(await open.json()).toMatchObject({ status: "healthy", problems: [] });
    for (const path of ["policies", "vms", "runs", "status", "vault", "openapi.json"]) {
      const refused = await fetch(`${shell.stack.apiUrl}/api/${path}`, { headers: { "x-functions-key": "wrong" } });
      expect(refused.status).toBe(401);
      expect((await call("GET", path)).status).toBe(200);
    }
  });

  test("that are wrong are told by the command line in one line", async () => {
    const environment = { FARSIDE_URL: shell.stack.apiUrl, FARSIDE_KEY: "wrong" };
    const { exitCode, err } = await shell.run(["vm", "list"], { environment });
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^farside: The service at http:\S+ did not accept the key: check FARSIDE_KEY\.\n$/);
  });
});

describe("A VM", () => {
  let run: RunView;

  beforeAll(async () => {
    // A minute that comes now, so that a tick of the schedule finds something due.
    await call("PUT", "policies/minutely", { retention: { keepLast: 5 }, schedule: { cron: "* * * * *" } });
    await call("PUT", "policies/idle", { retention: { keepLast: 5 } });
    const source = { kind: "page-blob", disks: [{ name: "os", url: diskUrl }] };
    await call("PUT", "vms/web1", { policy: "idle", source });
  });

  test("is backed up on demand: 202 with the run's addresses", async () => {
    const asked = await call("POST", "vms/web1/backups", {}, { "idempotency-key": "first" });
    expect(asked.status).toBe(202);
    run = runViewSchema.parse(asked.body);
    expect(run).toMatchObject({ vm: "web1", kind: "backup", trigger: "on-demand" });
    const url = `${shell.stack.apiUrl}/api/runs/${run.runId}`;
    expect(asked.headers.get("location")).toBe(url);
    expect(asked.headers.get("operation-location")).toBe(url);
    expect(Number(asked.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  test("is backed up once for one Idempotency-Key, while it runs and after", async () => {
    const again = await call("POST", "vms/web1/backups", {}, { "idempotency-key": "first" });
    expect(again.status).toBe(202);
    expect(again.body).toMatchObject({ runId: run.runId });
    expect(await untilEnded(run.runId)).toMatchObject({ state: "succeeded" });
    const after = await call("POST", "vms/web1/backups", undefined, { "idempotency-key": "first" });
    expect(after.body).toMatchObject({ runId: run.runId, state: "succeeded" });
  });

  test("has one backup at a time: the second answers with the first's id, and cannot take the VM away", async () => {
    const first = await call("POST", "vms/web1/backups");
    expect(first.status).toBe(202);
    const { runId } = runViewSchema.parse(first.body);
    const second = await call("POST", "vms/web1/backups");
    expect(second.status).toBe(409);
    expect(second.headers.get("content-type")).toBe("application/problem+json");
    expect(second.body).toMatchObject({ type: "urn:farside:problem:run-active", code: "run-active", runId });
    expect(second.headers.get("location")).toBe(`${shell.stack.apiUrl}/api/runs/${runId}`);
    expect((await call("DELETE", "vms/web1")).body).toMatchObject({ code: "run-active", runId });
    const told = await shell.run(["backup", "web1", "--json"]);
    expect(told.exitCode).toBe(1);
    expect(JSON.parse(told.out)).toMatchObject({ error: { code: "run-active", details: { runId } } });
    await untilEnded(runId);
  });

  test("can have its run cancelled, which is told as it is", async () => {
    const { runId } = runViewSchema.parse((await call("POST", "vms/web1/backups")).body);
    const cancelled = await call("POST", `runs/${runId}/cancel`);
    expect(cancelled.status).toBe(202);
    const ended = await untilEnded(runId);
    expect(["cancelled", "succeeded"]).toContain(ended.state);
    const again = await call("POST", `runs/${runId}/cancel`);
    expect(again.body).toMatchObject({ runId, state: ended.state });
  });

  test("has its restore points listed newest first", async () => {
    const { body } = await call("GET", "vms/web1/restore-points?limit=1");
    const page = body as { items: { restorePointId: string }[]; continuation: string };
    expect(page.items).toHaveLength(1);
    const next = await call("GET", `vms/web1/restore-points?continuation=${encodeURIComponent(page.continuation)}`);
    const ids = (next.body as typeof page).items.map((point) => point.restorePointId);
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.every((id) => id < (page.items[0]?.restorePointId ?? ""))).toBe(true);
    expect((await call("GET", `vms/web1/restore-points/${ids[0]}`)).body).toMatchObject({ restorePointId: ids[0] });
  });

  test("is backed up by a tick of the schedule that somebody asks for", async () => {
    const source = { kind: "page-blob", disks: [{ name: "os", url: diskUrl }] };
    // The first tick sets the schedule's beginning; an instant after it is due.
    await call("POST", "schedule/run");
    await call("PUT", "vms/web1", { policy: "minutely", source });
    await sleep(60_000 - (Date.now() % 60_000) + 500);
    const tick = await call("POST", "schedule/run");
    expect(tick.status).toBe(200);
    const { body } = await call("GET", "runs?vm=web1&limit=1");
    const [newest] = (body as { items: RunView[] }).items;
    expect(newest).toMatchObject({ trigger: "schedule", policy: "minutely" });
    expect(await untilEnded(newest?.runId ?? "")).toMatchObject({ state: "succeeded" });
    await call("PUT", "vms/web1", { policy: "idle", source });
  });

  test("shows in the status", async () => {
    const { body } = await call("GET", "status");
    expect(body).toMatchObject({ summary: { vms: 1, ok: 1 }, vms: [{ vm: "web1", protection: "ok" }] });
  });
});

test("A path that is none is 404, and a method that is none too", async () => {
  for (const [method, path] of [
    ["GET", "nothing"],
    ["PATCH", "policies/x"],
    ["DELETE", "runs"],
  ] as const) {
    const response = await fetch(`${shell.stack.apiUrl}/api/${path}`, {
      method,
      headers: { "x-functions-key": shell.stack.apiKey },
    });
    expect(response.status).toBe(404);
  }
});
