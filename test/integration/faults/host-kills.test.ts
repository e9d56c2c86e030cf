/** The whole host killed by SIGKILL, its worker with it, and the whole stack: a new start goes on where the run stood. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BlobServiceClient } from "@azure/storage-blob";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commandLineOf } from "../../../local/azurite/running-process.ts";
import { readStackFile } from "../../../local/stack/stack-file.ts";
import { startStack } from "../../../local/stack/stack.ts";
import type { RunView } from "../../../shared/wire/http/run.ts";
import { startProgram, type ChildProgram } from "../../support/faults/child-program.ts";
import { blobDigest, makeDisk, ownSnapshots, workBlobs } from "../../support/faults/disk-content.ts";
import { callApi, hasEnded, ServiceBench } from "../../support/faults/service-bench.ts";
import { benchTimings, shortHostJson } from "../../support/faults/timings.ts";
import { eventually } from "../../support/host/local-app.ts";

const gib = 1024 ** 3;
const mib = 1024 ** 2;
let bench: ServiceBench;
let folder: string;
const programs: ChildProgram[] = [];
beforeAll(async () => {
  bench = await ServiceBench.start();
  folder = await mkdtemp(join(tmpdir(), "farside-killed-"));
});
afterAll(async () => {
  for (const program of programs) await program.kill();
  await bench.stop();
  await rm(folder, { recursive: true, force: true });
});

test("A host that is killed in the middle of a backup, and in the middle of a restore: the next host goes on", async () => {
  const settings = JSON.stringify(bench.settings());
  const killedOne = async (proxy: "sourceBlobs" | "vaultBlobs", begin: () => Promise<string>): Promise<RunView> => {
    const first = await startProgram("host-program", settings);
    programs.push(first);
    bench.useApi(first.api);
    const runId = await begin();
    const slow = bench.proxies[proxy].inject(
      proxy === "sourceBlobs" ? "read" : "put-page",
      { kind: "delay", ms: 200 },
      Number.POSITIVE_INFINITY,
    );
    await eventually("copying", () => slow.hits >= 6, 30_000);
    const before = await bench.run(runId);
    expect(before.state).toBe("copying");
    await first.kill();
    await eventually("the worker has gone", async () => (await commandLineOf(first.workerPid)) === undefined);
    bench.proxies[proxy].reset();
    await bench.startHost();
    bench.useApi(undefined);
    const after = await bench.run(runId);
    expect(hasEnded(after)).toBe(false);
    const ended = await bench.ended(runId);
    await bench.stopHost();
    return ended;
  };
  await bench.startHost();
  const vm = await bench.makeVm("host-killed", { segments: 10 });
  await bench.stopHost();
  const backup = await killedOne("sourceBlobs", () => bench.beginBackup(vm));
  await bench.proveBackup(vm, backup);
  const point = backup.restorePointId ?? "";
  const restore = await killedOne("vaultBlobs", () => bench.beginRestore(vm.name, point, "host-killed"));
  await bench.proveRestore(vm, restore, "host-killed");
});

test("A stack that is killed in the middle of a backup goes on at its next start on the same folder", async () => {
  const data = join(folder, "data");
  const first = await startProgram("stack-program", data);
  programs.push(first);
  const file = readStackFile(data);
  if (file === undefined) throw new Error("The stack left no file.");
  const container = BlobServiceClient.fromConnectionString(file.regions.source.connectionString).getContainerClient(
    "disks",
  );
  await container.create();
  const segments = 40;
  const places = Array.from({ length: segments }, (_, n) => ({ offset: n * gib + 4096, length: 4 * mib }));
  const disk = await makeDisk(container, "os", segments * gib, places);
  const call = <T>(api: { url: string; hostKey: string }, method: string, path: string, body?: unknown): Promise<T> =>
    callApi<T>(api.url, api.hostKey, method, path, body);
  await call(first.api, "PUT", "policies/plain", { retention: { keepLast: 3 }, consistency: { wanted: "crash" } });
  await call(first.api, "PUT", "vms/web", {
    policy: "plain",
    source: { kind: "page-blob", disks: [{ name: "os", url: disk.url }] },
  });
  const { runId } = await call<RunView>(first.api, "POST", "vms/web/backups", {});
  const middle = await eventually("the middle of the backup", async () => {
    const run = await call<RunView>(first.api, "GET", `runs/${runId}`);
    return run.state === "copying" && (run.progress?.windowsDone ?? 0) > 0 ? run : undefined;
  });
  await first.kill();
  expect(middle.progress?.windowsDone).toBeLessThan(middle.progress?.windows ?? 0);

  const stack = await startStack({
    dataFolder: data,
    log: () => undefined,
    timings: benchTimings,
    settings: shortHostJson,
  });
  try {
    const api = { url: stack.apiUrl, hostKey: stack.apiKey };
    const resumed = await call<RunView>(api, "GET", `runs/${runId}`);
    expect(hasEnded(resumed)).toBe(false);
    const run = await eventually(
      "the end of the run",
      async () => {
        const now = await call<RunView>(api, "GET", `runs/${runId}`);
        return hasEnded(now) ? now : undefined;
      },
      60_000,
    );
    expect([run.state, run.error?.message, run.attempt]).toEqual(["succeeded", undefined, 1]);
    const vaultAccount = BlobServiceClient.fromConnectionString(stack.file.regions.vault.connectionString);
    const { runId: restoreId } = await call<RunView>(api, "POST", "vms/web/restores", {
      restorePointId: run.restorePointId,
      target: { kind: "container", url: `${vaultAccount.url.replace(/\/$/, "")}/restored` },
    });
    const restored = await eventually(
      "the end of the restore",
      async () => {
        const now = await call<RunView>(api, "GET", `runs/${restoreId}`);
        return hasEnded(now) ? now : undefined;
      },
      60_000,
    );
    expect([restored.state, restored.error?.message]).toEqual(["succeeded", undefined]);
    const target = vaultAccount.getContainerClient("restored").getPageBlobClient("os.vhd");
    expect(await blobDigest(target, segments * gib)).toBe(await blobDigest(disk, segments * gib));
    expect((await ownSnapshots(container)).map(({ attempt }) => attempt)).toEqual([`${runId}-1`]);
    const vault = vaultAccount.getContainerClient("vault");
    await eventually("a vault without work blobs", async () => (await workBlobs(vault)).length === 0);
  } finally {
    await stack.stop();
  }
});
