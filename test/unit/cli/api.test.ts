/** What the command line makes of what a service answers, or something that is no Farside. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { farside, type CliResult } from "../../support/cli/farside.ts";

let server: Server;
let url: string;
let answer: { status: number; type?: string; body: string };
let requests: { method: string; path: string; key: string | undefined; body: string }[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      const key = request.headers["x-functions-key"];
      requests.push({ method: request.method ?? "", path: request.url ?? "", key: String(key), body });
      response.writeHead(answer.status, { "content-type": answer.type ?? "application/json" });
      response.end(answer.body);
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  requests = [];
});

const run = (args: readonly string[]): Promise<CliResult> =>
  farside(args, { environment: { FARSIDE_URL: `${url}/`, FARSIDE_KEY: "secret-key" } });

describe("An answer", () => {
  test("that is a problem becomes the service's own error, with its details", async () => {
    answer = {
      status: 409,
      type: "application/problem+json",
      body: JSON.stringify({
        type: "urn:farside:problem:run-active",
        title: "A run is active",
        status: 409,
        detail: "The VM is being backed up.",
        code: "run-active",
        runId: "01KAX5M2Y3ZJ8T9V6W7Q4R1B0C",
      }),
    };
    const { exitCode, out, err } = await run(["backup", "web1", "--json"]);
    expect(exitCode).toBe(1);
    expect(err).toBe("farside: The VM is being backed up.\n");
    expect(JSON.parse(out)).toEqual({
      error: {
        code: "run-active",
        message: "The VM is being backed up.",
        details: { runId: "01KAX5M2Y3ZJ8T9V6W7Q4R1B0C" },
      },
    });
    expect(requests).toEqual([{ method: "POST", path: "/api/vms/web1/backups", key: "secret-key", body: "{}" }]);
  });

  test.each([
    [401, "", 1, "did not accept the key: check FARSIDE_KEY"],
    [404, "", 3, "answered 404 to /api/status"],
    [502, "<html>Bad gateway</html>", 1, "did not answer as Farside does: check FARSIDE_URL"],
    [503, "", 1, "answered 503"],
    [200, "<html>Welcome</html>", 1, "did not answer as Farside does"],
    [200, '{"hello":"world"}', 1, "is not one that this release of the command line knows"],
  ])("of %d %j is told in one line", async (status, body, exitCode, message) => {
    answer = { status, body };
    const result = await run(["status"]);
    expect(result.exitCode).toBe(exitCode);
    expect(result.err).toMatch(/^farside: [^\n]+\n$/);
    expect(result.err).toContain(message);
    expect(result.err + result.out).not.toContain("secret-key");
  });

  test("with fields of a later release is shown all the same", async () => {
    const summary = { vms: 0, ok: 0, late: 0, none: 0, running: 0 };
    const status = { at: "2026-11-21T08:30:00.000Z", summary, vms: [], weather: "fine" };
    answer = { status: 200, body: JSON.stringify(status) };
    expect((await run(["status"])).out).toContain("No VM is protected yet");
    expect(JSON.parse((await run(["status", "--json"])).out)).toEqual(status);
  });

  test("that cannot be steers no terminal", async () => {
    const problem = { type: "x", title: "x", status: 404, detail: "No\u001b[2J\nsuch thing", code: "not-found" };
    answer = { status: 404, body: JSON.stringify(problem) };
    expect((await run(["policy", "show", "x"])).err).toBe("farside: No [2J such thing\n");
  });
});

describe("What is asked of the service", () => {
  test("is a name as one part of the path", async () => {
    answer = { status: 404, body: "" };
    await run(["policy", "show", "daily"]);
    expect(requests[0]?.path).toBe("/api/policies/daily");
  });

  test("keeps of a policy what was not given", async () => {
    const policy = {
      name: "daily",
      schedule: { cron: "0 3 * * *", timeZone: "Europe/Berlin", jitterSeconds: 60 },
      retention: { keepDaily: 7, keepLast: 2 },
      consistency: { wanted: "application", least: "filesystem" },
      rpoSeconds: 93_600,
      retryWindowSeconds: 60,
      freezeTtlSeconds: 30,
      shutdown: true,
      pauseReplication: true,
      usnRollback: "fail",
      instantRestoreDays: 3,
      createdAt: "2026-11-21T08:30:00.000Z",
      updatedAt: "2026-11-21T08:30:00.000Z",
    };
    answer = { status: 200, body: JSON.stringify(policy) };
    await run(["policy", "set", "daily", "--rpo", "8h", "--keep-daily", "9", "--time-zone", "UTC"]);
    const { name: _name, createdAt: _created, updatedAt: _updated, ...settings } = policy;
    expect(JSON.parse(requests[1]?.body ?? "")).toEqual({
      ...settings,
      rpoSeconds: 28_800,
      retention: { keepDaily: 9, keepLast: 2 },
      schedule: { ...policy.schedule, timeZone: "UTC" },
    });
    await run(["policy", "set", "daily", "--schedule", "none", "--no-pause-replication", "--no-shutdown"]);
    const changed = JSON.parse(requests[3]?.body ?? "") as Record<string, unknown>;
    expect(changed).not.toHaveProperty("schedule");
    expect(changed).toMatchObject({ pauseReplication: false, shutdown: false });
  });
});
