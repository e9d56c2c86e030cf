import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startAzurite } from "../../local/azurite/azurite-process.ts";
import type { Azurite } from "../../local/azurite/azurite-process.ts";
import { BlobVaultStore } from "../../shared/adapters/azure/blob-vault-store.ts";
import { openContainer } from "../../shared/adapters/azure/storage-clients.ts";
import { hasCode } from "../../shared/core/errors.ts";
import { describeVaultStore } from "./vault-store.conformance.ts";

const key = randomBytes(64).toString("base64");
const signal = new AbortController().signal;
let azurite: Azurite;

beforeAll(async () => {
  azurite = await startAzurite({ accounts: [{ name: "vaultacct", key }] });
});

afterAll(async () => {
  await azurite.stop();
});

async function storeOf(container: string, tryTimeoutMs?: number): Promise<BlobVaultStore> {
  const connectionString = azurite.connectionString("vaultacct");
  const location = { kind: "connection-string", connectionString, container } as const;
  return new BlobVaultStore(await openContainer(location, tryTimeoutMs));
}

describeVaultStore("Azurite", async () => {
  const store = await storeOf(`c-${randomUUID()}`);
  await store.createContainer(signal);
  return {
    store,
    withoutContainer: await storeOf(`c-${randomUUID()}`),
    waitTwoSeconds: () => sleep(2000),
  };
});

describe("A vault store on a real server", () => {
  test("opens a container by its URL and a SAS, and never shows the SAS", async () => {
    const name = `c-${randomUUID()}`;
    await (await storeOf(name)).createContainer(signal);
    const connectionString = azurite.connectionString("vaultacct");
    const owner = await openContainer({ kind: "connection-string", connectionString, container: name });
    const { ContainerSASPermissions } = await import("@azure/storage-blob");
    const sas = async (permissions: string) =>
      owner.generateSasUrl({
        permissions: ContainerSASPermissions.parse(permissions),
        expiresOn: new Date(Date.now() + 3_600_000),
      });
    const writer = new BlobVaultStore(await openContainer({ kind: "url", url: await sas("racwdl") }));
    expect((await writer.create("x", Buffer.from("x"), signal)).kind).toBe("created");
    expect(writer.location).toBe(`${azurite.blobUrl}/vaultacct/${name}`);

    const reader = new BlobVaultStore(await openContainer({ kind: "url", url: await sas("r") }));
    const refused: unknown = await reader.put("y", Buffer.from("y"), signal).catch((error: unknown) => error);
    expect(hasCode(refused, "forbidden")).toBe(true);
    expect(JSON.stringify([refused, String(refused), (refused as Error).cause])).not.toMatch(/sig=|sv=/);
  });

  test("tells a wrong key as forbidden, without showing it", async () => {
    const wrong = randomBytes(64).toString("base64");
    const connectionString = azurite.connectionString("vaultacct").replace(key, wrong);
    const store = new BlobVaultStore(
      await openContainer({ kind: "connection-string", connectionString, container: "any" }),
    );
    const refused: unknown = await store.head("x", signal).catch((error: unknown) => error);
    expect(hasCode(refused, "forbidden")).toBe(true);
    expect(JSON.stringify([refused, String(refused)])).not.toContain(wrong.slice(0, 20));
  });

  test("tells a container's name that the service does not take, and an identity without https", async () => {
    const code = async (store: BlobVaultStore): Promise<unknown> =>
      store.createContainer(signal).catch((error: unknown) => (error as { code?: unknown }).code);
    expect(await code(await storeOf("v"))).toBe("bad-configuration");
    const url = `${azurite.blobUrl}/vaultacct/vault`;
    expect(await code(new BlobVaultStore(await openContainer({ kind: "url", url })))).toBe("bad-configuration");
  });

  test("goes on when a server that stood still for three seconds wakes up", async () => {
    const store = await storeOf(`c-${randomUUID()}`);
    await store.createContainer(signal);
    azurite.freeze();
    const waking = sleep(3000).then(() => azurite.thaw());
    expect((await store.create("x", Buffer.from("x"), signal)).kind).toBe("created");
    await waking;
  });

  test("gives up on a server that stands still after two tries, and not before", async () => {
    const store = await storeOf(`c-${randomUUID()}`, 1500);
    await store.createContainer(signal);
    azurite.freeze();
    const began = performance.now();
    try {
      const error: unknown = await store.head("x", signal).catch((thrown: unknown) => thrown);
      expect(hasCode(error, "unavailable")).toBe(true);
      expect(performance.now() - began).toBeGreaterThan(3000);
      expect(performance.now() - began).toBeLessThan(8000);
    } finally {
      azurite.thaw();
    }
  });

  test("lists more than one page of names", async () => {
    const store = await storeOf(`c-${randomUUID()}`);
    await store.createContainer(signal);
    const names = Array.from({ length: 300 }, (_, at) => `chunks/aa/${String(at).padStart(4, "0")}`);
    for (let from = 0; from < names.length; from += 20) {
      await Promise.all(names.slice(from, from + 20).map((name) => store.put(name, Buffer.from("x"), signal)));
    }
    const small = new BlobVaultStore(
      await openContainer({
        kind: "connection-string",
        connectionString: azurite.connectionString("vaultacct"),
        container: store.location.slice(store.location.lastIndexOf("/") + 1),
      }),
      70,
    );
    const listed: string[] = [];
    for await (const blob of small.list("chunks/", signal)) listed.push(blob.name);
    expect(listed).toEqual(names);
  });
});
