/** What the roles of infra/roles are enough for at storage, and what they keep away: a proxy in front of the emulator refuses what they do not allow. */
import { randomBytes } from "node:crypto";
import { TableClient } from "@azure/data-tables";
import { QueueServiceClient } from "@azure/storage-queue";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { TableCatalog } from "../../../shared/adapters/azure/table-catalog.ts";
import { StorageTaskQueue } from "../../../shared/adapters/azure/storage-task-queue.ts";
import { hasCode } from "../../../shared/core/errors.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import type { BackupRun } from "../../../shared/core/run.ts";
import { objectName } from "../../../shared/core/vault/object-id.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { readManifest } from "../../../shared/operations/vault/list-restore-points.ts";
import { openVault } from "../../../shared/operations/vault/open-vault.ts";
import { readDisk, readDiskIndex } from "../../../shared/operations/vault/read-disk.ts";
import { addPolicy } from "../../support/add-policy.ts";
import { enforceRoles, type DataRole, type EnforcedRoles } from "../../support/data-roles.ts";
import { startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { everything, readCondition, readRole, without } from "../../support/roles.ts";
import { samplePolicy, sampleRunId } from "../../support/sample-rows.ts";
import { startStorageProxy, throughProxy, type StorageProxy } from "../../support/storage-proxy.ts";
import { startTestAzurite, type TestAzurite } from "../../support/test-azurite.ts";

const never = new AbortController().signal;
const mib = 1024 ** 2;
const name = parseVmName("web");

function assigned(role: string): DataRole {
  return { role: readRole(role), condition: readCondition(role) };
}

let azurite: TestAzurite;
beforeAll(async () => {
  azurite = await startTestAzurite("vaultacct");
});
afterAll(() => azurite.azurite.stop());

describe("The roles of the vault", () => {
  let proxy: StorageProxy;
  let roles: EnforcedRoles;
  let region: ManagedRegion;
  let pipeline: RealPipeline;
  let vm: ManagedVm;
  let vaults = 0;

  beforeEach(async () => {
    proxy = await startStorageProxy(azurite.azurite.blobUrl);
    roles = enforceRoles(proxy, "blob");
    // Whoever makes the vault is a person with more rights.
    roles.assign({ role: everything });
    region = await startManagedRegion({
      now: () => (pipeline === undefined ? Date.now() : pipeline.context.clock.now()),
    });
    pipeline = await createRealPipeline({
      accounts: [],
      vaultConnection: throughProxy(azurite.connectionString, proxy),
      vaultContainer: `vault-${++vaults}`,
      armUrl: region.server.url,
    });
    vm = await region.addVm("web", 1);
    await vm.write(0, 0, randomBytes(3 * mib));
    const { context } = pipeline;
    const policy = await addPolicy(context, "daily", {
      consistency: { wanted: "crash", least: "crash" },
      retryWindowSeconds: 60,
    });
    await protectVm(context, { name, policy, source: { kind: "managed", resourceId: vm.resourceId } }, never);
    roles.used.clear();
  });
  afterEach(async () => {
    await region.stop();
    await proxy.close();
  });

  const backUp = async (): Promise<BackupRun> => pipeline.backup(name);
  const restorePoint = async (run: BackupRun) => {
    if (run.state !== "succeeded") throw new Error("error" in run ? run.error.message : run.state);
    const found = await readManifest(pipeline.vault, run.vmId, run.restorePointId, never);
    if (found.kind !== "standing") throw new Error("There is no restore point.");
    return found.manifest;
  };
  const blobs = async (prefix: string): Promise<string[]> =>
    (await Array.fromAsync(pipeline.vault.store.list(prefix, never))).map((blob) => blob.name);

  test("the writer's, with the one for work, are enough for backups, and nothing outside of work/ is deleted", async () => {
    roles.assign(assigned("vault-writer"), assigned("vault-work-remover"));
    await restorePoint(await backUp());
    await vm.write(0, mib, randomBytes(512));
    await restorePoint(await backUp());
    expect(roles.refused).toEqual([]);
    const needed = [...readRole("vault-writer").DataActions, ...readRole("vault-work-remover").DataActions];
    expect([...roles.used].sort()).toEqual(needed.sort());
    expect(await blobs("work/")).toEqual([]);
  });

  test.each(readRole("vault-writer").DataActions)("the writer's needs %s: no backup without it", async (action) => {
    const { role, condition } = assigned("vault-writer");
    roles.assign({ role: without(role, action), condition }, assigned("vault-work-remover"));
    // The refusal of a step is the run's end, or, of the very first step, the step's own.
    const outcome = await backUp().then(
      (run) => run.state,
      (error: unknown) => (hasCode(error, "forbidden") ? "forbidden" : "another"),
    );
    expect(["failed", "forbidden"]).toContain(outcome);
    expect(roles.refused.length).toBeGreaterThan(0);
  });

  test("the writer's let nobody delete or replace what restore points are made of, but for the bytes of objects", async () => {
    const point = await restorePoint(await backUp());
    const { store } = pipeline.vault;
    const manifest = `restore-points/${point.vmId}/${point.pointId}/manifest.json`;
    const [key = ""] = await blobs("keys/");
    const [chunk = ""] = await blobs("chunks/");
    const [index = ""] = await blobs("index/");
    roles.assign(assigned("vault-writer"), assigned("vault-work-remover"));
    for (const blob of [manifest, key, chunk, index, "vault.json"]) {
      await expect(store.remove(blob, {}, never)).rejects.toMatchObject({ code: "forbidden" });
    }
    for (const blob of [manifest, key, "vault.json"]) {
      await expect(store.put(blob, Buffer.from("{}"), never)).rejects.toMatchObject({ code: "forbidden" });
      await expect(store.refresh(blob, never)).rejects.toMatchObject({ code: "forbidden" });
    }
    // What is needed: objects are refreshed before they are used again (W3).
    expect(await store.refresh(chunk, never)).toBeDefined();
    // The risk that is left: the same permission would overwrite them. Versions or immutability of the container stand against that.
    await store.put(chunk, Buffer.from("overwritten"), never);
    // The control: the collector's takes all of it away.
    roles.assign(assigned("vault-collector"));
    for (const blob of [manifest, key, chunk, index]) expect(await store.remove(blob, {}, never)).toBe("removed");
  });

  test("the writer's without the one for work keep every backup, and leave its work blobs", async () => {
    roles.assign(assigned("vault-writer"));
    await restorePoint(await backUp());
    expect(roles.refused.length).toBeGreaterThan(0);
    for (const one of roles.refused) expect(one).toMatch(/^blobs\/delete work\//);
    expect(await blobs("work/")).not.toEqual([]);
  });

  test("a damaged index is out of the writer's reach: the backup fails in words until it is put right with the collector's role", async () => {
    const point = await restorePoint(await backUp());
    const [disk] = point.disks;
    if (disk === undefined) throw new Error("A point has disks.");
    const [segment] = (await readDiskIndex(pipeline.vault, disk, never)).segments;
    const damaged = objectName("segment", segment ?? disk.index);
    await pipeline.vault.store.put(damaged, randomBytes(100), never);
    roles.assign(assigned("vault-writer"), assigned("vault-work-remover"));
    await vm.write(0, 0, randomBytes(512));
    const failed = await backUp().catch((error: unknown) => error);
    expect(failed).toMatchObject({
      state: "failed",
      error: { code: "forbidden", message: expect.stringContaining(damaged) },
    });
    roles.assign(assigned("vault-writer"), assigned("vault-collector"));
    await restorePoint(await backUp());
    expect((await blobs("quarantine/")).length).toBeGreaterThan(0);
  });

  test("the reader's is enough to restore, and changes nothing", async () => {
    const point = await restorePoint(await backUp());
    roles.used.clear();
    roles.assign(assigned("vault-reader"));
    const { store, random } = { store: pipeline.vault.store, random: pipeline.context.random };
    const vault = await openVault({ store, random, passphrase: "a passphrase for tests" }, never);
    const [disk] = point.disks;
    if (disk === undefined) throw new Error("A point has disks.");
    let seen = 0;
    for await (const piece of readDisk(vault, disk, {}, never)) if (piece.kind === "data") seen += piece.content.length;
    expect(seen).toBeGreaterThan(3 * mib - 1);
    expect([...roles.used]).toEqual(readRole("vault-reader").DataActions);
    await expect(store.create("restore-points/x", Buffer.from("x"), never)).rejects.toMatchObject({
      code: "forbidden",
    });
    await expect(store.remove("vault.json", {}, never)).rejects.toMatchObject({ code: "forbidden" });
  });
});

describe("The role of the app's state", () => {
  test("is enough for its tables and queues, the host's share of them too, and holds nothing more", async () => {
    const role = readRole("app-state");
    const services = [
      ["Queue", azurite.azurite.queueUrl],
      ["Table", azurite.azurite.tableUrl],
    ] as const;
    const proxies: StorageProxy[] = [];
    const used = new Set<string>();
    const enforced: EnforcedRoles[] = [];
    let { connectionString } = azurite;
    for (const [service, url] of services) {
      const proxy = await startStorageProxy(url);
      proxies.push(proxy);
      const roles = enforceRoles(proxy, service === "Queue" ? "queue" : "table");
      roles.assign({ role });
      enforced.push(roles);
      connectionString = throughProxy(connectionString, proxy, service);
    }
    try {
      const connection = { kind: "connection-string", connectionString } as const;
      const catalog = new TableCatalog(connection);
      const inserted = await catalog.policies.insert(samplePolicy, never);
      if (inserted === "exists") throw new Error("The table was empty.");
      await catalog.policies.replace(inserted, { ...samplePolicy, rpoSeconds: 7 }, never);
      expect((await catalog.policies.list({ limit: 5 }, never)).items).toHaveLength(1);
      expect(await catalog.policies.remove(samplePolicy.name, undefined, never)).toBe("removed");
      const tasks = new StorageTaskQueue(connection);
      await tasks.send({ kind: "start-backup", runId: sampleRunId(1) }, 0, never);
      // What the Functions host does with a queue.
      const queue = QueueServiceClient.fromConnectionString(connectionString).getQueueClient("start-backup");
      await queue.getProperties();
      await queue.peekMessages();
      const { receivedMessageItems } = await queue.receiveMessages();
      const [message] = receivedMessageItems;
      if (message === undefined) throw new Error("The message did not arrive.");
      const { popReceipt = "" } = await queue.updateMessage(message.messageId, message.popReceipt, undefined, 30);
      await queue.deleteMessage(message.messageId, popReceipt);
      // What it must not.
      await expect(queue.delete()).rejects.toMatchObject({ statusCode: 403 });
      await expect(
        TableClient.fromConnectionString(connectionString, "farsidepolicies", {
          allowInsecureConnection: true,
        }).deleteTable(),
      ).rejects.toMatchObject({ statusCode: 403 });
      expect(enforced.flatMap(({ refused }) => refused)).toEqual(["queues/delete", "tables/delete"]);
      for (const roles of enforced) for (const action of roles.used) used.add(action);
      expect([...used].sort()).toEqual([...role.Actions, ...role.DataActions].sort());
    } finally {
      for (const proxy of proxies) await proxy.close();
    }
  });
});
