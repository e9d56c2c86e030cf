/**
 * The whole service on real servers, for faults: two regions whose parts can be stopped and frozen one by one, a proxy before each
 * storage service that the app uses, the functions host with short times, and the proof that must hold after everything.
 *
 * The vault has chunks of 256 KiB, so that a disk of a few GiB, nearly all of it empty, is many windows.
 */
import { deepEqual, equal } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BlobServiceClient, type ContainerClient, type PageBlobClient } from "@azure/storage-blob";
import { startAzurite, type Azurite } from "../../../local/azurite/azurite-process.ts";
import type { Host } from "../../../local/host/host-options.ts";
import { startHost } from "../../../local/host/host.ts";
import { buildIfNeeded, findAppFolder } from "../../../local/stack/app-build.ts";
import { BlobVaultStore } from "../../../shared/adapters/azure/blob-vault-store.ts";
import { openContainer } from "../../../shared/adapters/azure/storage-clients.ts";
import { systemClock, systemRandom } from "../../../shared/compose/system.ts";
import { parsePointId, parseVmId } from "../../../shared/core/ids.ts";
import { initVault } from "../../../shared/operations/vault/init-vault.ts";
import { readManifest } from "../../../shared/operations/vault/list-restore-points.ts";
import type { OpenVault } from "../../../shared/operations/vault/open-vault.ts";
import type { RunView } from "../../../shared/wire/http/run.ts";
import { eventually } from "../host/local-app.ts";
import { startStorageProxy, throughProxy, type StorageProxy } from "../storage-proxy.ts";
import { benchTimings, shortHostJson } from "./timings.ts";
import { blobDigest, makeDisk, ownSnapshots, pointDigests, workBlobs } from "./disk-content.ts";

export const passphrase = "a passphrase for tests of faults";
const mib = 1024 * 1024;
/** Of a segment, and so of the smallest window, with chunks of 256 KiB. */
export const segmentBytes = 256 * mib;
const never = new AbortController().signal;

export interface BenchVm {
  readonly name: string;
  readonly container: ContainerClient;
  readonly disks: readonly { readonly name: string; readonly blob: PageBlobClient; readonly sizeBytes: number }[];
}

export class ServiceBench {
  readonly proxies: Readonly<Record<"sourceBlobs" | "queues" | "tables" | "vaultBlobs", StorageProxy>>;
  readonly vault: OpenVault;
  readonly folder: string;
  readonly logged: string[] = [];
  readonly #regions: { source: Azurite; vault: Azurite };
  readonly #keys: { readonly source: string; readonly vault: string };
  #host: Host | undefined;
  #elsewhere: ApiPlace | undefined;

  private constructor(parts: {
    readonly folder: string;
    readonly regions: { source: Azurite; vault: Azurite };
    readonly keys: { readonly source: string; readonly vault: string };
    readonly proxies: ServiceBench["proxies"];
    readonly vault: OpenVault;
  }) {
    this.folder = parts.folder;
    this.#regions = parts.regions;
    this.#keys = parts.keys;
    this.proxies = parts.proxies;
    this.vault = parts.vault;
  }

  static async start(chunkSizeBytes = 256 * 1024): Promise<ServiceBench> {
    await buildIfNeeded(findAppFolder(), never);
    const folder = await mkdtemp(join(tmpdir(), "farside-faults-"));
    const keys = { source: randomBytes(32).toString("base64"), vault: randomBytes(32).toString("base64") };
    const [source, vault] = await Promise.all([
      startRegion(folder, "source", keys.source),
      startRegion(folder, "vault", keys.vault),
    ]);
    const [sourceBlobs, queues, tables, vaultBlobs] = await Promise.all(
      [source.blobUrl, source.queueUrl, source.tableUrl, vault.blobUrl].map((url) => startStorageProxy(url)),
    );
    if (!sourceBlobs || !queues || !tables || !vaultBlobs) throw new Error("A proxy is missing.");
    const connectionString = vault.connectionString(accountOf("vault"));
    const store = new BlobVaultStore(
      await openContainer({ kind: "connection-string", connectionString, container: "vault" }),
    );
    const opened = await initVault(
      {
        store,
        clock: systemClock(),
        random: systemRandom(),
        chunkSizeBytes,
        encryption: { kind: "passphrase", passphrase, scrypt: { n: 1024, r: 8, p: 1 } },
      },
      never,
    );
    const proxies = { sourceBlobs, queues, tables, vaultBlobs };
    return new ServiceBench({ folder, regions: { source, vault }, keys, proxies, vault: opened });
  }

  region(which: "source" | "vault"): Azurite {
    return this.#regions[which];
  }

  /** SIGTERM, at which it saves its data; after a while it stands on the same ports again. */
  async restartRegion(which: "source" | "vault", downMs: number): Promise<void> {
    await this.#regions[which].stop();
    await sleep(downMs);
    this.#regions[which] = await startRegion(this.folder, which, this.#keys[which]);
  }

  async stopRegion(which: "source" | "vault"): Promise<void> {
    await this.#regions[which].stop();
  }

  /** As the stack's, but for the proxies in between. */
  settings(): Readonly<Record<string, string>> {
    const source = this.#connection("source");
    const { sourceBlobs, queues, tables, vaultBlobs } = this.proxies;
    const state = throughProxy(throughProxy(source, queues, "Queue"), tables, "Table");
    const vault = throughProxy(this.#connection("vault"), vaultBlobs);
    return {
      ...shortHostJson,
      AzureWebJobsStorage: source,
      FUNCTIONS_WORKER_RUNTIME: "node",
      FARSIDE_STATE: state,
      FARSIDE_VAULT: vault,
      FARSIDE_VAULT_CONTAINER: "vault",
      FARSIDE_ACCOUNT_SOURCE: throughProxy(source, sourceBlobs),
      FARSIDE_ACCOUNT_VAULT: vault,
      FARSIDE_PASSPHRASE: passphrase,
      FARSIDE_WINDOW_BYTES: String(mib),
    };
  }

  /** Everything in the vault's region: what is left when the source region is not. */
  settingsOfVaultRegion(): Readonly<Record<string, string>> {
    const vault = this.#connection("vault");
    return {
      ...shortHostJson,
      AzureWebJobsStorage: vault,
      FUNCTIONS_WORKER_RUNTIME: "node",
      FARSIDE_STATE: vault,
      FARSIDE_VAULT: vault,
      FARSIDE_VAULT_CONTAINER: "vault",
      FARSIDE_ACCOUNT_VAULT: vault,
      FARSIDE_PASSPHRASE: passphrase,
    };
  }

  async startHost(settings: Readonly<Record<string, string>> = this.settings()): Promise<Host> {
    this.#host = await startHost({
      appFolder: findAppFolder(),
      settings,
      port: 0,
      hostId: "faults",
      log: (level, category, message) => void this.logged.push(`${level} ${category}: ${message}`),
      timings: benchTimings,
    });
    return this.#host;
  }

  get host(): Host {
    if (this.#host === undefined) throw new Error("No host runs.");
    return this.#host;
  }

  /** The API of a host in a process of its own; undefined: of `host` again. */
  useApi(place: ApiPlace | undefined): void {
    this.#elsewhere = place;
  }

  async stopHost(): Promise<void> {
    await this.#host?.stop();
    this.#host = undefined;
  }

  /** How often a function was running when its process ended. */
  deaths(): number {
    return this.logged.filter((line) => line.includes("ended while the function ran: SIGKILL")).length;
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const { url, hostKey } = this.#elsewhere ?? this.host;
    return callApi<T>(url, hostKey, method, path, body);
  }

  /** A VM of sparse disks in a container of its own: `segments` windows for each disk, about 3 MiB each to read. */
  async makeVm(
    name: string,
    options: { readonly segments?: number; readonly disks?: readonly string[]; readonly guestUrl?: string } = {},
  ): Promise<BenchVm> {
    const { segments = 12, disks = ["os"], guestUrl } = options;
    const container = this.blobs("source").getContainerClient(`disks-${name}`);
    await container.create();
    const sizeBytes = segments * segmentBytes;
    const made = [];
    for (const disk of disks) {
      const places = Array.from({ length: segments }, (_, segment) => ({
        offset: segment * segmentBytes + 512 * (segment + 1),
        length: 2 * mib,
      }));
      made.push({ name: disk, sizeBytes, blob: await makeDisk(container, disk, sizeBytes, places) });
    }
    const consistency = guestUrl === undefined ? "crash" : "application";
    await this.call("PUT", `policies/for-${name}`, {
      retention: { keepLast: 7 },
      consistency: { wanted: consistency, least: consistency },
      freezeTtlSeconds: 30,
    });
    const url = (disk: string): string =>
      `${this.proxies.sourceBlobs.url}/${accountOf("source")}/${container.containerName}/${disk}`;
    await this.call("PUT", `vms/${name}`, {
      policy: `for-${name}`,
      source: {
        kind: "page-blob",
        disks: disks.map((disk) => ({ name: disk, url: url(disk) })),
        ...(guestUrl === undefined ? {} : { guestUrl }),
      },
    });
    return { name, container, disks: made };
  }

  async beginBackup(vm: BenchVm): Promise<string> {
    return (await this.call<{ runId: string }>("POST", `vms/${vm.name}/backups`, {})).runId;
  }

  /** Into a container of the vault's region, by the address that the host was given for it. */
  async beginRestore(
    vm: string,
    pointId: string,
    into: string,
    blobUrl: string = this.proxies.vaultBlobs.url,
  ): Promise<string> {
    const target = { kind: "container", url: `${blobUrl}/${accountOf("vault")}/${into}` };
    const { runId } = await this.call<{ runId: string }>("POST", `vms/${vm}/restores`, {
      restorePointId: pointId,
      target,
    });
    return runId;
  }

  run(runId: string): Promise<RunView> {
    return this.call<RunView>("GET", `runs/${runId}`);
  }

  /** Waits until the run is between its first and its last window. */
  async inTheMiddle(runId: string, least = 1): Promise<RunView> {
    return eventually(
      `run ${runId} in the middle of copying`,
      async () => {
        const run = await this.run(runId);
        if (hasEnded(run)) throw new Error(`The run ${run.state} before: ${run.error?.message ?? ""}`);
        return run.state === "copying" && (run.progress?.windowsDone ?? 0) >= least ? run : undefined;
      },
      60_000,
    );
  }

  async ended(runId: string, timeoutMs = 120_000): Promise<RunView> {
    return eventually(
      `the end of run ${runId}`,
      async () => {
        // While a region is down the API may not answer.
        const run = await this.run(runId).catch(() => undefined);
        return run !== undefined && hasEnded(run) ? run : undefined;
      },
      timeoutMs,
    );
  }

  /**
   * The backup succeeded; each disk's restore point is byte for byte its own snapshot, which is the only one left; no work is left.
   */
  async proveBackup(vm: BenchVm, run: RunView): Promise<void> {
    succeeded(run);
    const found = await readManifest(this.vault, parseVmId(run.vmId), parsePointId(run.restorePointId ?? ""), never);
    if (found.kind !== "standing") throw new Error(`The manifest is ${found.kind}.`);
    await this.proveNothingLeft();
    const snapshots = await ownSnapshots(vm.container);
    deepEqual(
      snapshots.map(({ blob, attempt }) => `${blob} ${attempt}`),
      vm.disks.map(({ name }) => `${name} ${found.manifest.attemptId}`).toSorted(),
    );
    const restored = await pointDigests(this.vault, found.manifest);
    for (const { name, sizeBytes } of vm.disks) {
      const snapshot = snapshots.find(({ blob }) => blob === name);
      if (snapshot === undefined) throw new Error(`There is no snapshot of ${name}.`);
      equal(restored[name], await blobDigest(snapshot.client, sizeBytes));
    }
  }

  /** Each target is byte for byte what the disk's blob holds; no work is left. */
  async proveRestore(vm: BenchVm, run: RunView, into: string): Promise<void> {
    succeeded(run);
    await this.proveNothingLeft();
    deepEqual(await this.restoredDigests(vm, into), await this.digests(vm));
  }

  /** What each disk's blob holds. */
  digests(vm: BenchVm): Promise<readonly string[]> {
    return Promise.all(vm.disks.map(({ blob, sizeBytes }) => blobDigest(blob, sizeBytes)));
  }

  /** What each target holds; all of them are complete. */
  async restoredDigests(vm: BenchVm, into: string): Promise<readonly string[]> {
    const container = this.blobs("vault").getContainerClient(into);
    const digests: string[] = [];
    for (const { name, sizeBytes } of vm.disks) {
      const target = container.getPageBlobClient(`${name}.vhd`);
      equal((await target.getProperties()).metadata?.["farsidestate"], "complete");
      digests.push(await blobDigest(target, sizeBytes));
    }
    return digests;
  }

  /** The traces go just after the end is recorded. */
  async proveNothingLeft(): Promise<void> {
    const vault = this.blobs("vault").getContainerClient("vault");
    await eventually("a vault without work blobs", async () => (await workBlobs(vault)).length === 0);
  }

  blobs(which: "source" | "vault"): BlobServiceClient {
    return BlobServiceClient.fromConnectionString(this.#connection(which));
  }

  async stop(): Promise<void> {
    await this.stopHost();
    for (const proxy of Object.values(this.proxies)) await proxy.close();
    await Promise.all([this.#regions.source.stop(), this.#regions.vault.stop()]);
    await rm(this.folder, { recursive: true, force: true });
  }

  #connection(which: "source" | "vault"): string {
    return this.#regions[which].connectionString(accountOf(which));
  }
}

interface ApiPlace {
  readonly url: string;
  readonly hostKey: string;
}

export async function callApi<T>(url: string, key: string, method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${url}/api/${path}`, {
    method,
    headers: { "x-functions-key": key, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return JSON.parse(text) as T;
}

function succeeded(run: RunView): void {
  equal(run.state, "succeeded", run.error?.message);
}

export const hasEnded = (run: RunView): boolean => ["succeeded", "failed", "cancelled"].includes(run.state);

const accountOf = (which: "source" | "vault"): string => `fault${which}`;

function startRegion(folder: string, which: "source" | "vault", key: string): Promise<Azurite> {
  return startAzurite({ accounts: [{ name: accountOf(which), key }], dataFolder: join(folder, `${which}-region`) });
}
