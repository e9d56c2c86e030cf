import { beforeEach, describe, expect, test } from "vitest";
import type { Problem } from "../../../shared/wire/http/problem.ts";
import { vmViewSchema } from "../../../shared/wire/http/vm.ts";
import { parseVmId } from "../../../shared/core/ids.ts";
import { sampleRunId } from "../../support/sample-rows.ts";
import { accountUrl, createTestApp, type TestApp } from "../../support/test-app.ts";

const signal = new AbortController().signal;
const os = { name: "os", url: `${accountUrl}/disks/os.vhd` };
const data = { name: "data", url: `${accountUrl}/disks/data.vhd` };
const vm = (...disks: readonly object[]) => ({ policy: "daily", source: { kind: "page-blob", disks } });

let bench: TestApp;
const request: TestApp["request"] = (...args) => bench.request(...args);

beforeEach(async () => {
  bench = createTestApp();
  bench.disks.set(os.url, { sizeBytes: 4096 }).set(data.url, { sizeBytes: 8192 });
  await request("PUT", "/api/policies/daily", { retention: { keepLast: 3 } });
});

describe("A VM", () => {
  test("is protected, shown, listed, changed and unprotected", async () => {
    const made = await request("PUT", "/api/vms/Web1", vm(os, data));
    expect(made.status).toBe(201);
    expect(vmViewSchema.parse(made.body)).toMatchObject({
      name: "Web1",
      policy: "daily",
      source: {
        disks: [
          { name: "os", role: "os" },
          { name: "data", role: "data" },
        ],
      },
    });
    const { vmId, protectedAt } = made.body as { vmId: string; protectedAt: string };

    const changed = await request("PUT", "/api/vms/Web1", { ...vm(os), osType: "linux" });
    expect(changed.status).toBe(200);
    expect(changed.body).toMatchObject({ vmId, protectedAt, osType: "linux", source: { disks: [{ name: "os" }] } });
    expect((await request("GET", "/api/vms/Web1")).body).toEqual(changed.body);
    expect((await request("GET", "/api/vms")).body).toEqual({ items: [changed.body] });

    expect((await request("DELETE", "/api/vms/Web1")).status).toBe(204);
    expect((await request("GET", "/api/vms/Web1")).body).toMatchObject({ code: "not-found", vm: "Web1" });
  });

  test("keeps its id, and what is known of its restore points, when it is protected again", async () => {
    const first = await request("PUT", "/api/vms/web1", vm(os));
    const vmId = parseVmId((first.body as { vmId: string }).vmId);
    await bench.catalog.vmStates.insert({ vmId, lastRunId: sampleRunId(1) }, signal);
    await request("DELETE", "/api/vms/web1");
    const again = await request("PUT", "/api/vms/web1", vm(os));
    expect(again.body).toMatchObject({ vmId, lastRunId: sampleRunId(1) });
  });

  test("is not unprotected while a run has it", async () => {
    const { body } = await request("PUT", "/api/vms/web1", vm(os));
    const vmId = parseVmId((body as { vmId: string }).vmId);
    await bench.catalog.vmStates.insert({ vmId, activeRunId: sampleRunId(1) }, signal);
    const refused = await request("DELETE", "/api/vms/web1");
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ code: "run-active", runId: sampleRunId(1) });
    expect(refused.headers["location"]).toBe(`http://localhost:7071/api/runs/${sampleRunId(1)}`);
    expect((await request("GET", "/api/vms/web1")).body).toMatchObject({ activeRunId: sampleRunId(1) });
  });

  test("has the OS disk that its owner names", async () => {
    const { body } = await request("PUT", "/api/vms/web1", vm({ ...os, role: "data" }, { ...data, role: "os" }));
    expect(body).toMatchObject({
      source: {
        disks: [
          { name: "os", role: "data" },
          { name: "data", role: "os" },
        ],
      },
    });
  });

  const wrong: readonly (readonly [string, object, number, string, string?])[] = [
    ["an unknown policy", { ...vm(os), policy: "nope" }, 404, "not-found"],
    ["two disks of one name", vm(os, { ...data, name: "os" }), 400, "bad-input", "source.disks[1].name"],
    ["two names that differ in case only", vm(os, { ...data, name: "OS" }), 400, "bad-input", "source.disks[1].name"],
    ["one page blob twice", vm(os, { ...data, url: os.url }), 400, "bad-input", "source.disks[1].url"],
    ["no disk", vm(), 400, "bad-input", "source.disks"],
    ["a disk that is not there", vm({ name: "os", url: `${accountUrl}/disks/gone.vhd` }), 404, "not-found"],
    ["another account", vm({ name: "os", url: "https://other.blob.core.windows.net/d/os.vhd" }), 400, "bad-input"],
    ["what is no page blob", vm({ name: "os", url: `${accountUrl}/disks/text` }), 400, "bad-input"],
    ["a size that is no multiple of 512", vm({ name: "os", url: `${accountUrl}/disks/odd` }), 400, "bad-input"],
    ["a URL that is none", vm({ name: "os", url: "os.vhd" }), 400, "bad-input", "source.disks[0].url"],
    ["a file's URL", vm({ name: "os", url: "file:///etc/passwd" }), 400, "bad-input", "source.disks[0].url"],
    ["a SAS", vm({ name: "os", url: `${os.url}?sv=1&sig=topsecret` }), 400, "bad-input", "source.disks[0].url"],
    ["a disk's name with a slash", vm({ ...os, name: "a/b" }), 400, "bad-input", "source.disks[0].name"],
    ["a disk's name of dots", vm({ ...os, name: ".." }), 400, "bad-input", "source.disks[0].name"],
    ["an unknown kind of source", { policy: "daily", source: { kind: "tape" } }, 400, "bad-input", "source.kind"],
    ["an unknown field", { ...vm(os), colour: "blue" }, 400, "bad-input", "colour"],
    ["no policy", { source: vm(os).source }, 400, "bad-input", "policy"],
  ];
  test.each(wrong)("is refused with %s, and nothing is changed", async (_what, body, status, code, path) => {
    bench.disks.set(`${accountUrl}/disks/odd`, { sizeBytes: 1000 });
    bench.disks.set(`${accountUrl}/disks/text`, { sizeBytes: 1024, kind: "block-blob" });
    const answer = await request("PUT", "/api/vms/web1", body);
    expect(answer.status).toBe(status);
    const problem = answer.body as Problem;
    expect(problem.code).toBe(code);
    expect(problem.detail).not.toMatch(/\n|topsecret/);
    expect(problem.errors?.map((error) => error.path) ?? [path]).toContain(path);
    expect((await request("GET", "/api/vms")).body).toEqual({ items: [] });
  });
});

describe("Unknown VMs and runs", () => {
  test.each([
    ["GET", "/api/vms/nope"],
    ["DELETE", "/api/vms/nope"],
    ["GET", "/api/vms/nope/restore-points"],
    ["GET", `/api/vms/nope/restore-points/${sampleRunId(1)}`],
    ["GET", `/api/runs/${sampleRunId(1)}`],
  ])("%s %s is 404", async (method, path) => {
    const answer = await request(method, path);
    expect(answer.status).toBe(404);
    expect(answer.body).toMatchObject({ type: "urn:farside:problem:not-found", code: "not-found" });
  });

  test.each([
    ["GET", "/api/runs/not-a-run"],
    ["POST", "/api/runs/..%2f/cancel"],
    ["GET", "/api/vms/web1/restore-points/xyz"],
    ["GET", "/api/runs?state=bogus"],
    ["GET", "/api/runs?vm=a%2Fb"],
  ])("%s %s is 400", async (method, path) => {
    expect((await request(method, path)).status).toBe(400);
  });
});

describe("Requests for work", () => {
  test.each([
    ["an unknown field", "/api/vms/web1/backups", { force: true }, "force"],
    ["no target", "/api/vms/web1/restores", {}, "target"],
    ["a target of no kind", "/api/vms/web1/restores", { target: { url: "https://x/y" } }, "target.kind"],
    [
      "a target with a SAS",
      "/api/vms/web1/restores",
      { target: { kind: "container", url: "https://x.blob.core.windows.net/y?sig=topsecret" } },
      "target.url",
    ],
    [
      "a point and a time",
      "/api/vms/web1/restores",
      {
        restorePointId: sampleRunId(1),
        at: "2026-11-21T08:30:00Z",
        target: { kind: "container", url: "https://x.blob.core.windows.net/y" },
      },
      "at",
    ],
    [
      "a point that is none",
      "/api/vms/web1/restores",
      { restorePointId: "yesterday", target: { kind: "container", url: "https://x.blob.core.windows.net/y" } },
      "restorePointId",
    ],
  ])("with %s are refused", async (_what, path, body, field) => {
    const answer = await request("POST", path, body);
    expect(answer.status).toBe(400);
    expect((answer.body as Problem).errors?.map((error) => error.path)).toContain(field);
    expect(JSON.stringify(answer.body)).not.toContain("topsecret");
  });

  test("with an Idempotency-Key that is none are refused", async () => {
    const answer = await request("POST", "/api/vms/web1/backups", {}, { "idempotency-key": "a b" });
    expect(answer.status).toBe(400);
    expect((answer.body as Problem).detail).toContain("Idempotency-Key");
  });
});
