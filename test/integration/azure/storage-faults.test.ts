/** The stores under faults of the network and the service, between the real clients and a real server. */
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { BlobVaultStore } from "../../../shared/adapters/azure/blob-vault-store.ts";
import { openContainer } from "../../../shared/adapters/azure/storage-clients.ts";
import { StorageTaskQueue } from "../../../shared/adapters/azure/storage-task-queue.ts";
import { TableCatalog } from "../../../shared/adapters/azure/table-catalog.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import { sampleRunId, sampleVm } from "../../support/sample-rows.ts";
import { startStorageProxy, throughProxy, type StorageProxy } from "../../support/storage-proxy.ts";
import { startTestAzurite, type TestAzurite } from "../../support/test-azurite.ts";

const signal = AbortSignal.timeout(230_000);
let region: TestAzurite;
let blobs: StorageProxy;
let tables: StorageProxy;
let queues: StorageProxy;
beforeAll(async () => {
  region = await startTestAzurite();
  [blobs, tables, queues] = await Promise.all([
    startStorageProxy(region.azurite.blobUrl),
    startStorageProxy(region.azurite.tableUrl),
    startStorageProxy(region.azurite.queueUrl),
  ]);
});
afterEach(() => {
  for (const proxy of [blobs, tables, queues]) proxy.reset();
});
afterAll(async () => {
  for (const proxy of [blobs, tables, queues]) await proxy.close();
  await region.azurite.stop();
});

describe("The vault store", () => {
  const open = async (): Promise<BlobVaultStore> => {
    const connectionString = throughProxy(region.connectionString, blobs);
    const container = await openContainer({ kind: "connection-string", connectionString, container: randomUUID() });
    const store = new BlobVaultStore(container);
    await store.createContainer(signal);
    return store;
  };

  test.each([
    ["the service is busy three times", { kind: "answer", status: 503, code: "ServerBusy" }, 3],
    ["the connection breaks before the answer", { kind: "reset", when: "before" }, 2],
    ["the answer is lost", { kind: "reset", when: "after" }, 1],
    ["the body is cut short", { kind: "cut-body", afterBytes: 100_000 }, 1],
  ] as const)("reads the right bytes where %s", async (_, fault, times) => {
    const store = await open();
    const content = randomBytes(1_000_000);
    await store.create("chunks/a", content, signal);
    const injected = blobs.inject("read", fault, times);
    const read = await store.read("chunks/a", 2_000_000, signal);
    expect(Buffer.compare(read?.content ?? Buffer.alloc(0), content)).toBe(0);
    expect(injected.hits).toBe(times);
  });

  test("that writes and loses the answer finds its blob standing, whole", async () => {
    const store = await open();
    const content = randomBytes(100_000);
    const injected = blobs.inject("put", { kind: "reset", when: "after" });
    expect((await store.create("chunks/a", content, signal)).kind).toBe("exists");
    expect(injected.hits).toBe(1);
    const read = await store.read("chunks/a", 2_000_000, signal);
    expect(Buffer.compare(read?.content ?? Buffer.alloc(0), content)).toBe(0);
  });

  test("says throttled with the wait that the service asked for", async () => {
    const store = await open();
    blobs.inject("read", { kind: "answer", status: 429, headers: { "retry-after": "9" } }, 99);
    await expect(store.read("chunks/a", 10, signal)).rejects.toMatchObject({ code: "throttled", retryAfterMs: 9000 });
  });
});

describe("The catalog", () => {
  const vm = (name: string) => ({ ...sampleVm, name: parseVmName(name) });
  const open = (): TableCatalog =>
    new TableCatalog({
      kind: "connection-string",
      connectionString: throughProxy(region.connectionString, tables, "Table"),
    });

  test("whose insert arrived and whose answer was lost has won all the same", async () => {
    const catalog = open();
    await catalog.vms.insert(vm("first"), signal);
    const fault = tables.inject((seen) => seen.method === "POST", { kind: "reset", when: "after" });
    const stored = await catalog.vms.insert(vm("lost"), signal);
    expect(fault.hits).toBe(1);
    expect(stored).toEqual(await catalog.vms.get(parseVmName("lost"), signal));
    // The control: somebody else's row of the same content is not taken for one's own.
    expect(await catalog.vms.insert(vm("lost"), signal)).toBe("exists");
  });

  test("whose replacement arrived and whose answer was lost has won all the same", async () => {
    const catalog = open();
    const stored = await catalog.vms.insert(vm("replaced"), signal);
    if (stored === "exists") throw new Error("exists");
    const fault = tables.inject((seen) => seen.method === "PUT", { kind: "reset", when: "after" });
    const next = await catalog.vms.replace(stored, { ...stored.value, osVersion: "2" }, signal);
    expect(fault.hits).toBe(1);
    expect(next).toEqual(await catalog.vms.get(parseVmName("replaced"), signal));
    expect(await catalog.vms.replace(stored, { ...stored.value, osVersion: "2" }, signal)).toBe("conflict");
  });

  test.each([
    ["503", { kind: "answer", status: 503 }],
    ["429 with a wait of a second", { kind: "answer", status: 429, headers: { "retry-after": "1" } }],
    ["a broken connection", { kind: "reset", when: "before" }],
  ] as const)("gets over %s", async (name, fault) => {
    const catalog = open();
    const injected = tables.inject(() => true, fault, 2);
    const row = vm(`over-${name.split(" ")[0] ?? ""}`);
    expect(await catalog.vms.insert(row, signal)).toMatchObject({ value: row });
    expect(injected.hits).toBe(2);
  });

  test("believes that a row or table is absent only where the service said so with its own code", async () => {
    const catalog = open();
    const page = { kind: "answer", status: 404, code: "SomeGatewayPage" } as const;
    tables.inject(() => true, page, 99);
    await expect(catalog.vms.get(parseVmName("first"), signal)).rejects.toMatchObject({ code: "unavailable" });
    await expect(catalog.vms.remove(parseVmName("first"), undefined, signal)).rejects.toMatchObject({
      code: "unavailable",
    });
    await expect(catalog.vms.list({ limit: 10 }, signal)).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("The task queue", () => {
  test("gets over a busy service, a broken connection and a lost answer", async () => {
    const connectionString = throughProxy(region.connectionString, queues, "Queue");
    const queue = new StorageTaskQueue({ kind: "connection-string", connectionString });
    for (const fault of [
      { kind: "answer", status: 503, code: "ServerBusy" },
      { kind: "reset", when: "before" },
      { kind: "reset", when: "after" },
    ] as const) {
      const injected = queues.inject(() => true, fault);
      await queue.send({ kind: "start-backup", runId: sampleRunId(1) }, 0, signal);
      expect(injected.hits).toBe(1);
    }
  });
});
