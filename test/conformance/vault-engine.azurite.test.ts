/** The whole engine on a real server: what the unit tests prove in memory, once where requests are real. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startAzurite } from "../../local/azurite/azurite-process.ts";
import type { Azurite } from "../../local/azurite/azurite-process.ts";
import { BlobVaultStore } from "../../shared/adapters/azure/blob-vault-store.ts";
import { openContainer } from "../../shared/adapters/azure/storage-clients.ts";
import { initVault } from "../../shared/operations/vault/init-vault.ts";
import { openVault } from "../../shared/operations/vault/open-vault.ts";
import { readDisk } from "../../shared/operations/vault/read-disk.ts";
import { verifyVault } from "../../shared/operations/vault/verify-vault.ts";
import {
  backUp,
  collect,
  kib,
  manualClock,
  noise,
  passphrase,
  prose,
  quickScrypt,
  seededRandom,
  signal,
} from "../support/vault/vault-fixture.ts";

let azurite: Azurite;

beforeAll(async () => {
  azurite = await startAzurite({ accounts: [{ name: "vaultacct", key: randomBytes(64).toString("base64") }] });
});

afterAll(async () => {
  await azurite.stop();
});

test("Two backups, a restore and a verification on Azurite give every byte back and find what is missing", async () => {
  const connectionString = azurite.connectionString("vaultacct");
  const store = new BlobVaultStore(
    await openContainer({ kind: "connection-string", connectionString, container: "vault" }),
  );
  const clock = manualClock(Date.now());
  const encryption = { kind: "passphrase", passphrase, scrypt: quickScrypt } as const;
  const made = await initVault(
    { store, clock, random: seededRandom("engine"), chunkSizeBytes: 256 * kib, encryption },
    signal,
  );

  const chunks = Array.from({ length: 30 }, (_, at) => prose(`chunk ${at}`, 256 * kib));
  const first = Buffer.concat([...chunks, new Uint8Array(2048 * kib), noise("tail", 5000)]);
  const second = Buffer.concat([noise("changed", 256 * kib), first.subarray(256 * kib)]);
  await backUp({ vault: made, clock }, "web01", { os: first });
  clock.advance(60_000);
  const { disks } = await backUp({ vault: made, clock }, "web01", { os: second });

  const vault = await openVault({ store, random: seededRandom("reader"), passphrase }, signal);
  const [disk] = disks;
  if (disk === undefined) throw new Error("no disk");
  const pieces = await collect(readDisk(vault, disk, {}, signal));
  const parts = pieces.map((piece) => (piece.kind === "data" ? piece.content : new Uint8Array(piece.length)));
  expect(Buffer.concat(parts).equals(second)).toBe(true);
  expect((await verifyVault(vault, { readData: true }, signal)).findings).toEqual([]);

  const names = (await collect(store.list("chunks/", signal))).map((blob) => blob.name);
  expect(names).toHaveLength(32);
  await store.remove(names[7] ?? "", {}, signal);
  const { findings } = await verifyVault(vault, {}, signal);
  expect(findings).toMatchObject([{ code: "chunk-missing", object: names[7] }]);
});
