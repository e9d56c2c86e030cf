import { describe, expect, test } from "vitest";
import { createApp } from "../../../shared/compose/app.ts";
import { parseVmId } from "../../../shared/core/ids.ts";
import { timestamp } from "../../../shared/core/timestamp.ts";
import { healthSchema, statusSchema, vaultViewSchema } from "../../../shared/wire/http/status.ts";
import { runViewSchema } from "../../../shared/wire/http/run.ts";
import { restorePointViewSchema } from "../../../shared/wire/http/restore-point.ts";
import {
  sampleBackupRuns,
  sampleEvent,
  samplePoint,
  samplePointId,
  sampleRestoreRuns,
  sampleVm,
} from "../../support/sample-rows.ts";
import { accountUrl, callEndpoint, createTestApp } from "../../support/test-app.ts";

const signal = new AbortController().signal;

describe("Health", () => {
  test("is healthy where the settings are whole", async () => {
    const { request } = createTestApp();
    const { status, body } = await request("GET", "/api/health");
    expect(status).toBe(200);
    expect(healthSchema.parse(body)).toMatchObject({ status: "healthy", problems: [] });
  });

  test("names every wrong setting and no secret, and every other function says the same", async () => {
    const secret = "dG9wLXNlY3JldC1rZXk=";
    const app = createApp({ FARSIDE_STATE: `AccountKey=${secret}`, FARSIDE_WINDOW_BYTES: "lots" }, signal);
    const health = await callEndpoint(app, "GET", "/api/health");
    expect(health.status).toBe(503);
    const { status, problems } = healthSchema.parse(health.body);
    expect(status).toBe("unhealthy");
    expect(problems.map((problem) => problem.setting)).toEqual(
      expect.arrayContaining(["AzureWebJobsStorage", "FARSIDE_STATE", "FARSIDE_VAULT", "FARSIDE_WINDOW_BYTES"]),
    );
    const policies = await callEndpoint(app, "GET", "/api/policies");
    expect(policies.status).toBe(500);
    expect(policies.body).toMatchObject({ code: "bad-configuration", type: "urn:farside:problem:bad-configuration" });
    expect(JSON.stringify([health.body, policies.body])).not.toContain(secret);
  });
});

test("A defect tells the caller nothing of its inside", async () => {
  const { app, context } = createTestApp();
  const { catalog } = context;
  const policies = { ...catalog.policies, list: () => Promise.reject(new Error("connection string AccountKey=abc")) };
  const broken = { ...app, context: () => Promise.resolve({ ...context, catalog: { ...catalog, policies } }) };
  const { status, body } = await callEndpoint(broken, "GET", "/api/status");
  expect(status).toBe(500);
  expect(JSON.stringify(body)).not.toContain("AccountKey");
});

test("The vault shows what it says of itself", async () => {
  const { request } = createTestApp();
  const { status, body } = await request("GET", "/api/vault");
  expect(status).toBe(200);
  expect(vaultViewSchema.parse(body)).toMatchObject({ formatVersion: 1, encryption: "none" });
});

describe("Status", () => {
  test("holds the newest restore point of each VM against its RPO", async () => {
    const { request, catalog, disks, context } = createTestApp();
    await request("PUT", "/api/policies/hourly", {
      retention: { keepLast: 1 },
      rpoSeconds: 3600,
      schedule: { cron: "0 * * * *" },
    });
    const ages = { fresh: 60, stale: 7200, never: undefined };
    for (const [name, age] of Object.entries(ages)) {
      const url = `${accountUrl}/disks/${name}.vhd`;
      disks.set(url, { sizeBytes: 1024 });
      const source = { kind: "page-blob", disks: [{ name: "os", url }] };
      await request("PUT", `/api/vms/${name}`, { policy: "hourly", source });
      if (age === undefined) continue;
      const lastPointAt = timestamp(context.clock.now() - age * 1000);
      await catalog.vmStates.insert({ vmId: parseVmId(name), lastPointAt, lastPointId: samplePointId(1) }, signal);
    }
    const { status, body } = await request("GET", "/api/status");
    expect(status).toBe(200);
    const view = statusSchema.parse(body);
    expect(view.summary).toEqual({ vms: 3, ok: 1, late: 1, none: 1, running: 0 });
    expect(Object.fromEntries(view.vms.map((vm) => [vm.vm, vm.protection]))).toEqual({
      fresh: "ok",
      stale: "late",
      never: "none",
    });
    expect(view.vms.find((vm) => vm.vm === "stale")).toMatchObject({ rpoSeconds: 3600, ageSeconds: 7200 });
    expect(view.vms.every((vm) => vm.nextBackupAt !== undefined)).toBe(true);
  });
});

describe("Runs of every kind and state", () => {
  const runs = [...sampleBackupRuns(1), ...sampleRestoreRuns(50)];

  test("are shown as the document describes them", async () => {
    const { request, catalog } = createTestApp();
    for (const run of runs) await catalog.runs.insert(run, signal);
    for (const run of runs) {
      await catalog.runEvents.insert(sampleEvent(run.runId, 1), signal);
      const { status, body } = await request("GET", `/api/runs/${run.runId}`);
      expect(status).toBe(200);
      // Nothing beside what is described.
      expect(runViewSchema.strict().parse(body)).toMatchObject({ runId: run.runId, state: run.state, kind: run.kind });
      expect(body).toHaveProperty("events.length", 1);
    }
  });

  test("are listed newest first, by VM and by state", async () => {
    const { request, catalog } = createTestApp();
    for (const run of runs) await catalog.runs.insert(run, signal);
    const { body } = await request("GET", "/api/runs?limit=1000");
    const ids = (body as { items: { runId: string }[] }).items.map((run) => run.runId);
    expect(ids).toEqual([...ids].sort().toReversed());
    expect(ids).toHaveLength(runs.length);
    const failed = await request("GET", "/api/runs?state=failed");
    const states = (failed.body as { items: { state: string }[] }).items.map((run) => run.state);
    expect(new Set(states)).toEqual(new Set(["failed"]));
  });

  test("show what was achieved as plain words and numbers", async () => {
    const { request, catalog } = createTestApp();
    const run = runs.find((one) => one.kind === "backup" && one.state === "succeeded");
    if (run === undefined) throw new Error("There is no such sample.");
    await catalog.runs.insert(run, signal);
    const { body } = await request("GET", `/api/runs/${run.runId}`);
    expect(body).toMatchObject({
      consistency: expect.stringMatching(/^(?:application|filesystem|crash)$/) as string,
      skewMs: expect.any(Number) as number,
      trigger: expect.stringMatching(/^(?:schedule|on-demand)$/) as string,
      disks: [{ name: "os", mode: expect.any(String) as string, newChunks: expect.any(Number) as number }],
    });
  });
});

test("Restore points are found by the name of a VM that is not protected any more", async () => {
  const { request, catalog } = createTestApp();
  const point = { ...samplePoint(1), vmId: parseVmId("web1"), vm: sampleVm.name };
  await catalog.restorePoints.insert(point, signal);
  const list = await request("GET", "/api/vms/web1/restore-points");
  expect(list.status).toBe(200);
  expect(list.body).toMatchObject({ items: [{ restorePointId: point.pointId }] });
  const one = await request("GET", `/api/vms/web1/restore-points/${point.pointId}`);
  expect(restorePointViewSchema.strict().parse(one.body)).toMatchObject({ restorePointId: point.pointId });
});
