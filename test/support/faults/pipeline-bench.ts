/** The pipeline on two real regions with a proxy before each blob service: scenes of a VM with known disks, and the final proof. */
import { deepEqual, equal } from "node:assert/strict";
import { BlobServiceClient, type ContainerClient, type PageBlobClient } from "@azure/storage-blob";
import { parseDiskName, type VmName } from "../../../shared/core/ids.ts";
import type { BackupRun, RestoreRun, Run } from "../../../shared/core/run.ts";
import type { Manifest } from "../../../shared/core/vault/manifest.ts";
import { startBackup } from "../../../shared/operations/start-backup.ts";
import { requestBackup } from "../../../shared/operations/request-backup.ts";
import { requestRestore } from "../../../shared/operations/request-restore.ts";
import { readManifest } from "../../../shared/operations/vault/list-restore-points.ts";
import type { ExactDiffOptions } from "../exact-page-diff.ts";
import { createRealPipeline, type RealPipeline, type RealPipelineOptions, type RealVm } from "../real-pipeline.ts";
import { startStorageProxy, throughProxy, type StorageProxy } from "../storage-proxy.ts";
import { startTestAzurite, type TestAzurite } from "../test-azurite.ts";
import { blobDigest, makeDisk, ownSnapshots, pointDigests, workBlobs } from "./disk-content.ts";
import { requireSource } from "../../../shared/core/vm.ts";

export const chunkBytes = 256 * 1024;
export const mib = 1024 * 1024;
const never = new AbortController().signal;

export interface SceneOptions {
  readonly name: string;
  readonly disks?: readonly string[];
  readonly sizeBytes?: number;
  readonly vm?: Omit<RealVm, "name" | "disks">;
  readonly limits?: RealPipelineOptions["limits"];
}

interface Regions {
  readonly source: TestAzurite;
  readonly vault: TestAzurite;
}

export class PipelineBench {
  readonly source: StorageProxy;
  readonly vault: StorageProxy;
  readonly #regions: Regions;

  private constructor(regions: Regions, source: StorageProxy, vault: StorageProxy) {
    this.#regions = regions;
    this.source = source;
    this.vault = vault;
  }

  /** `exactDiff`: the source lists changes as the real service does, and is believed. */
  static async start(exactDiff?: Omit<ExactDiffOptions, "connectionString">): Promise<PipelineBench> {
    const [source, vault] = await Promise.all([startTestAzurite("faultsource"), startTestAzurite("faultvault")]);
    const { connectionString } = source;
    const options = exactDiff === undefined ? {} : { exactDiff: Object.assign(exactDiff, { connectionString }) };
    const [sourceProxy, vaultProxy] = await Promise.all([
      startStorageProxy(source.azurite.blobUrl, options),
      startStorageProxy(vault.azurite.blobUrl),
    ]);
    return new PipelineBench({ source, vault }, sourceProxy, vaultProxy);
  }

  reset(): void {
    this.source.reset();
    this.vault.reset();
  }

  async stop(): Promise<void> {
    await Promise.all([this.source.close(), this.vault.close()]);
    await Promise.all([this.#regions.source.azurite.stop(), this.#regions.vault.azurite.stop()]);
  }

  /** A VM with disks of noise here and there, in a container of its own, and a vault of its own. */
  async scene(options: SceneOptions): Promise<Scene> {
    const { name, disks = ["os"], sizeBytes = 8 * mib } = options;
    const { source, vault } = this.#regions;
    const container = BlobServiceClient.fromConnectionString(source.connectionString).getContainerClient(name);
    await container.create();
    const blobs = new Map<string, PageBlobClient>();
    for (const disk of disks) blobs.set(disk, await makeDisk(container, disk, sizeBytes, diskPlaces));
    const vaultService = BlobServiceClient.fromConnectionString(vault.connectionString);
    const vaultConnection = throughProxy(vault.connectionString, this.vault);
    const pipeline = await createRealPipeline({
      accounts: [throughProxy(source.connectionString, this.source), vaultConnection],
      vaultConnection,
      vaultContainer: name,
      chunkSizeBytes: chunkBytes,
      guestLimits: { freezeMs: 700, thawMs: 400, stateMs: 400 },
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    });
    const url = (disk: string): string => `${this.source.url}/${source.account}/${name}/${disk}`;
    const vm = await pipeline.protect({
      name,
      disks: disks.map((disk) => ({ name: disk, url: url(disk) })),
      ...options.vm,
    });
    const restoreUrl = (into: string): string => `${this.vault.url}/${vault.account}/${into}`;
    return new Scene({ pipeline, vm, container, blobs, vaultService, restoreUrl, url });
  }
}

const diskPlaces = [
  { offset: 0, length: 512 * 1024 },
  { offset: mib + 512, length: 700 * 1024 },
  { offset: 5 * mib - 4096, length: 8192 },
];

interface SceneParts {
  readonly pipeline: RealPipeline;
  readonly vm: VmName;
  readonly container: ContainerClient;
  readonly blobs: ReadonlyMap<string, PageBlobClient>;
  readonly vaultService: BlobServiceClient;
  readonly restoreUrl: (into: string) => string;
  readonly url: (disk: string) => string;
}

export class Scene {
  readonly pipeline: RealPipeline;
  readonly vm: VmName;
  /** Of the disks, reached directly. */
  readonly container: ContainerClient;
  readonly url: (disk: string) => string;
  readonly #parts: SceneParts;

  constructor(parts: SceneParts) {
    this.pipeline = parts.pipeline;
    this.vm = parts.vm;
    this.container = parts.container;
    this.url = parts.url;
    this.#parts = parts;
  }

  disk(name: string): PageBlobClient {
    const blob = this.#parts.blobs.get(name);
    if (blob === undefined) throw new Error(`There is no disk ${name}.`);
    return blob;
  }

  /** The vault's container, reached directly. */
  get vaultBlobs(): ContainerClient {
    return this.#parts.vaultService.getContainerClient(this.container.containerName);
  }

  backup(): Promise<BackupRun> {
    return this.pipeline.backup(this.vm);
  }

  /** Requests a backup and runs the step that takes the snapshots and plans, and no other. */
  async firstStep(): Promise<{
    readonly run: Run;
    readonly outcome: string;
    readonly finish: () => Promise<BackupRun>;
  }> {
    const { context } = this.pipeline;
    const { run } = await requestBackup(context, { vm: this.vm }, never);
    const outcome = await startBackup(context, { runId: run.runId }, never);
    const now = (await context.catalog.runs.get(run.runId, never))?.value;
    if (now === undefined) throw new Error("The run is gone.");
    const finish = async (): Promise<BackupRun> => {
      const ended = await this.pipeline.drive(run.runId);
      if (ended.kind !== "backup") throw new Error("It is no backup.");
      return ended;
    };
    return { run: now, outcome: outcome.kind, finish };
  }

  async setDisks(...names: readonly string[]): Promise<void> {
    const { vms } = this.pipeline.context.catalog;
    const stored = await vms.get(this.vm, never);
    if (stored === undefined) throw new Error("The VM is gone.");
    const disks = names.map((name, lun) => ({
      name: parseDiskName(name),
      url: this.url(name),
      lun,
      role: lun === 0 ? ("os" as const) : ("data" as const),
    }));
    await vms.replace(
      stored,
      { ...stored.value, source: { ...requireSource(stored.value, "page-blob"), disks } },
      never,
    );
  }

  /** `begun`: called when the request has been taken, before anything is done. */
  async restore(manifest: Manifest, into: string, begun: () => void): Promise<RestoreRun> {
    const { run } = await requestRestore(
      this.pipeline.context,
      {
        vm: this.vm,
        point: { kind: "point", pointId: manifest.pointId },
        target: { kind: "container", url: this.#parts.restoreUrl(into) },
      },
      never,
    );
    begun();
    const ended = await this.pipeline.drive(run.runId);
    if (ended.kind !== "restore") throw new Error("It is no restore.");
    return ended;
  }

  /** Every disk of the restored point is what its snapshot holds. */
  async proveRestore(run: RestoreRun, manifest: Manifest, into: string): Promise<void> {
    equal(run.state, "succeeded");
    const snapshots = await ownSnapshots(this.container);
    for (const { name, sizeBytes } of manifest.disks) {
      const target = this.#parts.vaultService.getContainerClient(into).getPageBlobClient(`${name}.vhd`);
      const snapshot = snapshots.find((one) => one.blob === name && one.attempt === manifest.attemptId);
      if (snapshot === undefined) throw new Error(`There is no snapshot of ${name}.`);
      equal((await target.getProperties()).metadata?.["farsidestate"], "complete");
      equal(await blobDigest(target, sizeBytes), await blobDigest(snapshot.client, sizeBytes));
    }
    deepEqual(await workBlobs(this.vaultBlobs), []);
  }

  /**
   * It succeeded; each disk's restore point is byte for byte its own snapshot, which is the only one left; no work is left.
   */
  async prove(run: BackupRun): Promise<Manifest> {
    if (run.state !== "succeeded") throw new Error(`The run ${run.state}: ${"error" in run ? run.error.message : ""}`);
    const found = await readManifest(this.pipeline.vault, run.vmId, run.restorePointId, never);
    if (found.kind !== "standing") throw new Error(`The manifest is ${found.kind}.`);
    const { manifest } = found;
    const snapshots = await ownSnapshots(this.container);
    deepEqual(
      snapshots.map(({ blob, attempt }) => `${blob} ${attempt}`),
      manifest.disks.map(({ name }) => `${name} ${manifest.attemptId}`).toSorted(),
    );
    const restored = await pointDigests(this.pipeline.vault, manifest);
    for (const { name, sizeBytes } of manifest.disks) {
      const snapshot = snapshots.find(({ blob }) => blob === name);
      if (snapshot === undefined) throw new Error(`There is no snapshot of ${name}.`);
      equal(restored[name], await blobDigest(snapshot.client, sizeBytes));
    }
    deepEqual(await workBlobs(this.vaultBlobs), []);
    return manifest;
  }

  /** Nothing of a run that failed: no snapshot but those of this attempt, no work. */
  async proveNothingLeft(base?: Manifest): Promise<void> {
    const attempts = new Set((await ownSnapshots(this.container)).map(({ attempt }) => attempt));
    deepEqual([...attempts], base === undefined ? [] : [base.attemptId]);
    deepEqual(await workBlobs(this.vaultBlobs), []);
  }
}
