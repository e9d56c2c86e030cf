import { BlobServiceClient } from "@azure/storage-blob";
import { QueueServiceClient } from "@azure/storage-queue";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { startAzurite, type Azurite } from "../../../local/azurite/azurite-process.ts";
import { commandLineOf, signal } from "../../../local/azurite/running-process.ts";
import { hasCode } from "../../../shared/core/errors.ts";

const key = Buffer.from("a key of a test, and nothing else").toString("base64");
const accounts = [
  { name: "northacct", key },
  { name: "southacct", key },
];
const folders: string[] = [];
const started: Azurite[] = [];

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "farside-azurite-"));
  folders.push(path);
  return path;
}

async function start(dataFolder?: string): Promise<Azurite> {
  const azurite = await startAzurite({ accounts, ...(dataFolder === undefined ? {} : { dataFolder }) });
  started.push(azurite);
  return azurite;
}

/** A program that starts a region on the folder and then only waits; as a user's `farside up` that gets killed. */
async function otherProgram(dataFolder: string): Promise<{ pid: number; azuritePid: number; storage: string }> {
  const program = fileURLToPath(new URL("../../support/host/azurite-owner.ts", import.meta.url));
  const child = spawn(process.execPath, [program, dataFolder], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const { pid, storage } = JSON.parse(line) as { pid: number; storage: string };
  return { pid: child.pid ?? 0, azuritePid: pid, storage };
}

async function untilGone(pid: number): Promise<number> {
  const startedAt = performance.now();
  while ((await commandLineOf(pid)) !== undefined) {
    if (performance.now() - startedAt > 10_000) throw new Error(`process ${pid} still runs`);
    await sleep(10);
  }
  return performance.now() - startedAt;
}

describe("An Azurite region", () => {
  afterAll(async () => {
    await Promise.all(started.map((azurite) => azurite.stop()));
    await Promise.all(folders.map((path) => rm(path, { recursive: true, force: true })));
  });

  test("answers for each of its accounts, and its process is the one it names", async () => {
    const azurite = await start();
    for (const { name } of accounts) {
      const blobs = BlobServiceClient.fromConnectionString(azurite.connectionString(name));
      await blobs.createContainer("things");
      expect(blobs.url).toBe(`${azurite.blobUrl}/${name}`);
    }
    expect(await commandLineOf(azurite.pid)).toMatch(/azurite\.js .*--inMemoryPersistence/);
    expect(() => azurite.connectionString("westacct")).toThrow(/has northacct, southacct/);
    const stoppingAt = performance.now();
    await azurite.stop();
    expect(performance.now() - stoppingAt).toBeLessThan(5000);
    expect(await commandLineOf(azurite.pid)).toBeUndefined();
    expect((await azurite.exited).code).toBe(0);
  });

  test("keeps its data and its addresses over a restart on the same folder", async () => {
    const dataFolder = await folder();
    const first = await start(dataFolder);
    const queue = QueueServiceClient.fromConnectionString(first.connectionString("northacct")).getQueueClient("work");
    await queue.create();
    await queue.sendMessage("kept");
    await first.stop();
    const second = await start(dataFolder);
    expect([second.blobUrl, second.queueUrl, second.tableUrl]).toEqual([first.blobUrl, first.queueUrl, first.tableUrl]);
    expect((await queue.peekMessages()).peekedMessageItems[0]?.messageText).toBe("kept");
    await second.stop();
  });

  test("hangs while it is frozen and answers again when thawed, and stops even when frozen", async () => {
    const azurite = await start();
    azurite.freeze();
    await expect(fetch(azurite.blobUrl, { signal: AbortSignal.timeout(500) })).rejects.toThrow(/timeout/);
    azurite.thaw();
    expect((await fetch(azurite.blobUrl, { signal: AbortSignal.timeout(5000) })).status).toBeGreaterThanOrEqual(400);
    azurite.freeze();
    await azurite.stop();
    expect(await commandLineOf(azurite.pid)).toBeUndefined();
  });

  test("is refused a folder on which another live program runs one, and gets it when that program was killed", async () => {
    const dataFolder = await folder();
    const other = await otherProgram(dataFolder);
    const refusal = await start(dataFolder).catch((error: unknown) => error);
    expect(hasCode(refusal, "in-use")).toBe(true);
    expect(await commandLineOf(other.azuritePid)).toContain(dataFolder);

    process.kill(other.pid, "SIGKILL");
    const azurite = await start(dataFolder);
    expect(await commandLineOf(other.azuritePid)).toBeUndefined();
    expect((await commandLineOf(azurite.pid)) ?? "").toContain(dataFolder);
  });

  test("ends itself when the program that started it is killed, and an orphan that could not is ended at the next start", async () => {
    const dataFolder = await folder();
    const killed = await otherProgram(dataFolder);
    await QueueServiceClient.fromConnectionString(killed.storage).getQueueClient("written-last").create();
    process.kill(killed.pid, "SIGKILL");
    await untilGone(killed.azuritePid);

    const frozen = await otherProgram(dataFolder);
    signal(frozen.azuritePid, "SIGSTOP");
    process.kill(frozen.pid, "SIGKILL");
    await sleep(1000);
    expect(await commandLineOf(frozen.azuritePid), "the control: it is an orphan").toContain(dataFolder);
    const azurite = await start(dataFolder);
    expect(await commandLineOf(frozen.azuritePid)).toBeUndefined();
    const queues = QueueServiceClient.fromConnectionString(azurite.connectionString("northacct"));
    expect(await queues.getQueueClient("written-last").exists(), "written just before the kill").toBe(true);
  });

  test("saves its data also when it is told to end more than once", async () => {
    const dataFolder = await folder();
    const first = await start(dataFolder);
    const queues = QueueServiceClient.fromConnectionString(first.connectionString("northacct"));
    const names = Array.from({ length: 20 }, (_, index) => `queue-${index}`);
    await Promise.all(names.map((name) => queues.getQueueClient(name).create()));
    for (let count = 0; count < 5; count += 1) {
      process.kill(first.pid, "SIGTERM");
      await sleep(2);
    }
    await first.exited;
    await start(dataFolder);
    const found: string[] = [];
    for await (const queue of queues.listQueues()) found.push(queue.name);
    expect(found.sort()).toEqual(names.sort());
  });

  test("says which port is taken, and refuses accounts that Azurite would silently replace", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    const taken = await startAzurite({ accounts, ports: { queue: port } }).catch((error: unknown) => error);
    server.close();
    expect(taken).toMatchObject({ code: "unavailable", message: expect.stringContaining(`port ${port} is in use`) });
    const badName = startAzurite({ accounts: [{ name: "Bad:Name", key }] });
    await expect(badName).rejects.toMatchObject({ code: "bad-configuration" });
    const badKey = startAzurite({ accounts: [{ name: "northacct", key: "a;b" }] });
    await expect(badKey).rejects.toMatchObject({ code: "bad-configuration" });
  });
});
