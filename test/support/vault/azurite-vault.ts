/** A vault in an emulator of its own, behind a proxy, and command lines that know nothing but its container and the passphrase. */
import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BlobVaultStore } from "../../../shared/adapters/azure/blob-vault-store.ts";
import { openContainer } from "../../../shared/adapters/azure/storage-clients.ts";
import { initVault } from "../../../shared/operations/vault/init-vault.ts";
import type { OpenVault } from "../../../shared/operations/vault/open-vault.ts";
import { diskSegments, readDiskIndex, readSegment, type DiskRef } from "../../../shared/operations/vault/read-disk.ts";
import { startStorageProxy, throughProxy, type StorageProxy } from "../storage-proxy.ts";
import { startTestAzurite, type TestAzurite } from "../test-azurite.ts";
import { kib, manualClock, passphrase, quickScrypt, seededRandom, signal, type ManualClock } from "./vault-fixture.ts";

export interface AzuriteVault {
  readonly emulator: TestAzurite;
  readonly proxy: StorageProxy;
  readonly vault: OpenVault;
  readonly clock: ManualClock;
  /** For command lines: through the proxy. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const container = "vault";

export async function startAzuriteVault(): Promise<AzuriteVault> {
  const emulator = await startTestAzurite("vaultacct");
  const { connectionString } = emulator;
  const proxy = await startStorageProxy(emulator.azurite.blobUrl);
  const clock = manualClock();
  const store = new BlobVaultStore(await openContainer({ kind: "connection-string", connectionString, container }));
  const encryption = { kind: "passphrase", passphrase, scrypt: quickScrypt } as const;
  const vault = await initVault(
    { store, clock, random: seededRandom("azurite"), chunkSizeBytes: 256 * kib, encryption },
    signal,
  );
  return {
    emulator,
    proxy,
    vault,
    clock,
    environment: {
      FARSIDE_VAULT: throughProxy(connectionString, proxy),
      FARSIDE_VAULT_CONTAINER: container,
      FARSIDE_PASSPHRASE: passphrase,
    },
    async stop() {
      await proxy.close();
      await emulator.azurite.stop();
    },
  };
}

/** The ids of a disk's chunks, in order. */
export async function chunkIds(vault: OpenVault, disk: DiskRef): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const segment of diskSegments(await readDiskIndex(vault, disk, signal))) {
    ids.push(...(await readSegment(vault, segment, signal)));
  }
  return ids;
}

export interface CliProcess {
  readonly child: ChildProcess;
  /** Exit code, or the signal that ended it, and what it had said. */
  readonly ended: Promise<{ readonly exit: number | string; readonly out: Buffer; readonly err: string }>;
}

/** The command line as a process of its own: for what only a process can meet, such as a kill or a closed pipe. */
export function spawnCli(args: readonly string[], environment: Readonly<Record<string, string>>): CliProcess {
  const main = fileURLToPath(new URL("../../../cli/main.ts", import.meta.url));
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env["PATH"], ...environment },
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const out: Buffer[] = [];
  let err = "";
  child.stdout.on("data", (part: Buffer) => out.push(part));
  child.stderr.on("data", (part: Buffer) => (err += part.toString()));
  const ended = new Promise<{ exit: number | string; out: Buffer; err: string }>((resolve) => {
    child.on("close", (code, killedBy) => resolve({ exit: code ?? killedBy ?? "?", out: Buffer.concat(out), err }));
  });
  return { child, ended };
}
