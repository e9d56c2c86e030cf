import { describe, expect, test } from "vitest";
import { policyViewSchema } from "../../../shared/wire/http/policy.ts";
import type { Problem } from "../../../shared/wire/http/problem.ts";
import { createTestApp } from "../../support/test-app.ts";

const body = { retention: { keepDaily: 7 }, schedule: { cron: "0 3 * * *", timeZone: "Europe/Berlin" } };

describe("A policy", () => {
  test("is made, read, replaced and removed", async () => {
    const { request } = createTestApp();
    const made = await request("PUT", "/api/policies/daily", body);
    expect(made.status).toBe(201);
    expect(policyViewSchema.parse(made.body)).toMatchObject({
      name: "daily",
      schedule: { cron: "0 3 * * *", timeZone: "Europe/Berlin", jitterSeconds: 0 },
      consistency: { wanted: "application", least: "crash" },
      rpoSeconds: 93_600,
    });
    expect((await request("GET", "/api/policies/daily")).body).toEqual(made.body);

    const replaced = await request("PUT", "/api/policies/daily", { retention: { keepLast: 1 } });
    expect(replaced.status).toBe(200);
    expect(replaced.body).not.toHaveProperty("schedule");
    expect(replaced.body).toMatchObject({ createdAt: (made.body as { createdAt: string }).createdAt });

    expect((await request("DELETE", "/api/policies/daily")).status).toBe(204);
    expect((await request("GET", "/api/policies/daily")).status).toBe(404);
    expect((await request("DELETE", "/api/policies/daily")).status).toBe(404);
  });

  test("is listed page by page", async () => {
    const { request } = createTestApp();
    for (const name of ["a", "b", "c"]) await request("PUT", `/api/policies/${name}`, body);
    const first = await request("GET", "/api/policies?limit=2");
    const { items, continuation } = first.body as { items: { name: string }[]; continuation: string };
    expect(items.map((policy) => policy.name)).toEqual(["a", "b"]);
    const second = await request("GET", `/api/policies?limit=2&continuation=${encodeURIComponent(continuation)}`);
    expect(second.body).toMatchObject({ items: [{ name: "c" }] });
    expect(second.body).not.toHaveProperty("continuation");
  });

  test("that a VM follows is not removed", async () => {
    const { request, disks } = createTestApp();
    disks.set("https://source.blob.core.windows.net/disks/os.vhd", { sizeBytes: 1024 });
    await request("PUT", "/api/policies/daily", body);
    await request("PUT", "/api/vms/web1", {
      policy: "daily",
      source: { kind: "page-blob", disks: [{ name: "os", url: "https://source.blob.core.windows.net/disks/os.vhd" }] },
    });
    const refused = await request("DELETE", "/api/policies/daily");
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ code: "in-use", vm: "web1", policy: "daily" });
    expect((await request("GET", "/api/policies/daily")).status).toBe(200);
  });

  test("that stops VMs is refused for a VM of page blobs, whichever of the two comes first", async () => {
    const { request, disks } = createTestApp();
    const url = "https://source.blob.core.windows.net/disks/os.vhd";
    disks.set(url, { sizeBytes: 1024 });
    const vm = (policy: string) => ({ policy, source: { kind: "page-blob", disks: [{ name: "os", url }] } });
    await request("PUT", "/api/policies/stopping", { ...body, shutdown: true });
    const refused = await request("PUT", "/api/vms/web1", vm("stopping"));
    expect(refused.body).toMatchObject({ code: "not-supported", vm: "web1", policy: "stopping" });

    await request("PUT", "/api/policies/daily", body);
    expect((await request("PUT", "/api/vms/web1", vm("daily"))).status).toBe(201);
    const changed = await request("PUT", "/api/policies/daily", { ...body, shutdown: true });
    expect(changed.body).toMatchObject({ code: "not-supported", vm: "web1", policy: "daily" });
    expect((await request("GET", "/api/policies/daily")).body).toMatchObject({ shutdown: false });
  });

  const wrong: readonly (readonly [string, unknown, string])[] = [
    ["a schedule that never fires", { ...body, schedule: { cron: "0 0 30 2 *" } }, "schedule"],
    [
      "a VM that is stopped and application-consistent",
      { ...body, shutdown: true, consistency: { wanted: "application", least: "application" } },
      "consistency.least",
    ],
    ["a schedule that is none", { ...body, schedule: { cron: "every day" } }, "schedule"],
    [
      "a time zone that does not exist",
      { ...body, schedule: { cron: "0 3 * * *", timeZone: "Mars/Olympus" } },
      "schedule",
    ],
    ["a retention of nothing", { retention: {} }, "retention"],
    ["a retention of zeros", { retention: { keepLast: 0, keepDaily: 0 } }, "retention"],
    ["no retention", {}, "retention"],
    ["a negative retention", { retention: { keepLast: -1 } }, "retention.keepLast"],
    [
      "a least above the wanted",
      { ...body, consistency: { wanted: "crash", least: "application" } },
      "consistency.least",
    ],
    ["a level that is none", { ...body, consistency: { wanted: "perfect" } }, "consistency.wanted"],
    [
      "more snapshots kept than Azure holds",
      { ...body, schedule: { cron: "0 * * * *", timeZone: "UTC" }, instantRestoreDays: 19 },
      "instantRestoreDays",
    ],
    ["more days of snapshots than 30", { ...body, instantRestoreDays: 31 }, "instantRestoreDays"],
    ["an unknown field", { ...body, colour: "blue" }, "colour"],
    ["an unknown field further down", { ...body, schedule: { cron: "0 3 * * *", tz: "UTC" } }, "schedule.tz"],
    ["a wrong type", { ...body, rpoSeconds: "1h" }, "rpoSeconds"],
    ["a list", [], ""],
    ["nothing", undefined, ""],
    ["what is not JSON", "{", ""],
  ];
  test.each(wrong)("is refused with %s, and nothing is changed", async (_what, wrongBody, path) => {
    const { request } = createTestApp();
    const answer = await request("PUT", "/api/policies/daily", wrongBody);
    expect(answer.status).toBe(400);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    const problem = answer.body as Problem;
    expect(problem).toMatchObject({ type: "urn:farside:problem:bad-input", code: "bad-input", status: 400 });
    expect(problem.errors?.map((error) => error.path)).toContain(path);
    expect(problem.detail).not.toContain("\n");
    expect((await request("GET", "/api/policies")).body).toEqual({ items: [] });
  });

  test("is told how many days of snapshots its schedule leaves room for, which then are taken", async () => {
    const { request } = createTestApp();
    const hourly = { ...body, schedule: { cron: "0 * * * *", timeZone: "UTC" } };
    const { body: problem } = await request("PUT", "/api/policies/daily", { ...hourly, instantRestoreDays: 30 });
    expect((problem as Problem).detail).toContain("keep 18 days at most");
    const taken = await request("PUT", "/api/policies/daily", { ...hourly, instantRestoreDays: 18 });
    expect(taken).toMatchObject({ status: 201, body: { instantRestoreDays: 18 } });
    const rare = { ...body, schedule: { cron: "0 3 * * *", timeZone: "UTC" }, instantRestoreDays: 30 };
    expect((await request("PUT", "/api/policies/daily", rare)).status).toBe(200);
  });

  test("with several wrong fields is refused with all of them", async () => {
    const { request } = createTestApp();
    const { body: problem } = await request("PUT", "/api/policies/daily", {
      retention: { keepLast: 1.5 },
      rpoSeconds: -1,
      extra: 1,
    });
    expect((problem as Problem).errors?.map((error) => error.path).sort()).toEqual([
      "extra",
      "retention.keepLast",
      "rpoSeconds",
    ]);
  });

  test.each([
    ["a slash", "a%2Fb"],
    ["a space", "a%20b"],
    ["a control character", "a%07b"],
    ["300 letters", "x".repeat(300)],
    ["a dot at its end", "a."],
  ])("is refused a name with %s", async (_what, name) => {
    const { request } = createTestApp();
    const answer = await request("PUT", `/api/policies/${name}`, body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: "bad-input", errors: [{ path: "policy" }] });
    expect((answer.body as Problem).detail).toContain("is not allowed: use 1 to 64 letters");
  });
});

test.each(["limit=0", "limit=1001", "limit=many", "bogus=1"])("A list with %s is refused", async (query) => {
  const { request } = createTestApp();
  const answer = await request("GET", `/api/policies?${query}`);
  expect(answer.status).toBe(400);
  expect((answer.body as Problem).errors?.[0]?.path).toBe(query.split("=")[0]);
});

test("A function key in the query is not taken for a parameter", async () => {
  const { request } = createTestApp();
  expect((await request("GET", "/api/policies?code=secret")).status).toBe(200);
});
