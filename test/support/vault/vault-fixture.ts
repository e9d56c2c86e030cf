/** A vault in memory with a clock that stands until it is moved, and backups of made-up disks. */
import { createHash } from "node:crypto";
import { MemoryVaultStore } from "../../../shared/adapters/memory/memory-vault-store.ts";
import {
  attemptId,
  parseDiskName,
  parsePointId,
  parseRunId,
  parseVmId,
  parseVmName,
} from "../../../shared/core/ids.ts";
import type { AttemptId, RunId, VmId } from "../../../shared/core/ids.ts";
import { timestamp } from "../../../shared/core/timestamp.ts";
import { ulid } from "../../../shared/core/ulid.ts";
import { segmentChunks } from "../../../shared/core/vault/limits.ts";
import type { Manifest, ManifestBody, ManifestDisk } from "../../../shared/core/vault/manifest.ts";
import type { ObjectId } from "../../../shared/core/vault/object-id.ts";
import { initVault } from "../../../shared/operations/vault/init-vault.ts";
import type { InitVaultOptions } from "../../../shared/operations/vault/init-vault.ts";
import { createObjectWriter } from "../../../shared/operations/vault/object-writer.ts";
import type { OpenVault } from "../../../shared/operations/vault/open-vault.ts";
import { deleteWork, startSession } from "../../../shared/operations/vault/work-blobs.ts";
import { writeDiskIndex, writeDocument, writeSegment } from "../../../shared/operations/vault/write-index.ts";
import { commitManifest } from "../../../shared/operations/vault/write-manifest.ts";
import type { Clock } from "../../../shared/ports/clock.ts";
import type { Random } from "../../../shared/ports/random.ts";
import type { VaultStore } from "../../../shared/ports/vault-store.ts";

export const passphrase = "correct horse battery staple";
/** Real parameters cost 0.4 s an opening; these are for tests only. */
export const quickScrypt = { n: 1024, r: 8, p: 1 };
export const kib = 1024;
export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;
export const signal = new AbortController().signal;

/** Bytes by chance that are the same in each run. */
export function seededRandom(seed: string): Random {
  let count = 0;
  return {
    bytes(length) {
      const parts: Buffer[] = [];
      for (let have = 0; have < length; have += 32) {
        parts.push(createHash("sha256").update(`${seed}/${count}`).digest());
        count += 1;
      }
      return new Uint8Array(Buffer.concat(parts).subarray(0, length));
    },
  };
}

/** All items; `Array.fromAsync`, which the language level of the checkout does not have yet. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export function manualClock(startMs = Date.parse("2026-11-21T08:00:00.000Z")): ManualClock {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    monotonic: () => nowMs - startMs,
    sleep: async (ms) => {
      nowMs += ms;
    },
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

export interface TestVault {
  readonly vault: OpenVault;
  readonly store: MemoryVaultStore;
  readonly clock: ManualClock;
}

export async function makeVault(
  encryption: InitVaultOptions["encryption"] = { kind: "passphrase", passphrase, scrypt: quickScrypt },
  seed = "test",
  wrap: (store: VaultStore) => VaultStore = (store) => store,
): Promise<TestVault> {
  const clock = manualClock();
  const store = new MemoryVaultStore(() => clock.now());
  const options = { clock, random: seededRandom(seed), chunkSizeBytes: 256 * kib, encryption };
  return { vault: await initVault({ store: wrap(store), ...options }, signal), store, clock };
}

/** Bytes that do not compress, different for each seed. */
export function noise(seed: string, length: number): Uint8Array<ArrayBuffer> {
  return seededRandom(seed).bytes(length);
}

/** Text that compresses, different for each seed. */
export function prose(seed: string, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.alloc(length, `The ${seed} went round and found the ${seed} again. `));
}

export interface Backup {
  readonly vmId: VmId;
  readonly vmName: string;
  readonly runId: RunId;
  readonly attemptId: AttemptId;
  readonly atMs: number;
}

export function newBackup(vm: string, atMs: number): Backup {
  const runId = parseRunId(ulid(atMs, createHash("sha256").update(`${vm}${atMs}`).digest().subarray(0, 10)));
  return { vmId: parseVmId(`${vm.toLowerCase()}-0a1b`), vmName: vm, runId, attemptId: attemptId(runId, 1), atMs };
}

/** Writes all of a disk as a full backup does. */
export async function writeDisk(
  { vault }: Pick<TestVault, "vault">,
  backup: Backup,
  name: string,
  content: Uint8Array,
): Promise<ManifestDisk> {
  const session = await startSession(vault, backup.attemptId, signal);
  const writer = createObjectWriter(vault, session, signal);
  const { chunkSizeBytes } = vault.descriptor;
  const segments: ObjectId[] = [];
  let storedBytes = 0;
  let newChunks = 0;
  for (let from = 0; from < content.length; from += chunkSizeBytes * segmentChunks) {
    const ids: ObjectId[] = [];
    const to = Math.min(content.length, from + chunkSizeBytes * segmentChunks);
    for (let at = from; at < to; at += chunkSizeBytes) {
      const written = await writer.write("data", content.subarray(at, Math.min(to, at + chunkSizeBytes)));
      ids.push(written.id);
      storedBytes += written.storedBytes;
      if (written.outcome === "written") newChunks += 1;
    }
    segments.push((await writeSegment(vault, ids, session, signal)).id);
  }
  const index = await writeDiskIndex(vault, { sizeBytes: content.length, chunkSizeBytes, segments }, session, signal);
  return {
    name: parseDiskName(name),
    role: name === "os" ? "os" : "data",
    sizeBytes: content.length,
    logicalSectorSize: 512,
    identity: `identity-of-${name}`,
    index: index.id,
    snapshotAt: timestamp(backup.atMs),
    snapshot: { kind: "test" },
    mode: "full",
    changedBytes: content.length,
    newChunks,
    storedBytes,
  };
}

export async function manifestBody(
  { vault }: Pick<TestVault, "vault">,
  backup: Backup,
  disks: readonly ManifestDisk[],
): Promise<ManifestBody> {
  const session = await startSession(vault, backup.attemptId, signal);
  const configuration = await writeDocument(vault, { name: backup.vmName, size: "Standard_D2s_v5" }, session, signal);
  return {
    formatVersion: 1,
    vaultId: vault.descriptor.vaultId,
    vmId: backup.vmId,
    vmName: parseVmName(backup.vmName),
    pointId: parsePointId(backup.runId),
    runId: backup.runId,
    attemptId: backup.attemptId,
    sessionStartedAt: session.startedAt,
    snapshotAt: timestamp(backup.atMs),
    committedAt: timestamp(backup.atMs + 1000),
    trigger: "on-demand",
    consistency: { requested: "crash", achieved: "crash", skewMs: 3 },
    safety: { usnRollbackRisk: false },
    source: { kind: "page-blob", account: "srcacct" },
    configuration: configuration.id,
    disks,
    tool: { name: "farside", version: "0.1.0" },
  };
}

/** A whole restore point of these disks, committed at the clock's time; its work is cleaned up as a run's is. */
export async function backUp(
  test: Pick<TestVault, "vault" | "clock">,
  vm: string,
  contents: Readonly<Record<string, Uint8Array>>,
  more: Partial<ManifestBody> = {},
): Promise<Manifest> {
  const backup = newBackup(vm, test.clock.now());
  const disks: ManifestDisk[] = [];
  for (const [name, content] of Object.entries(contents)) disks.push(await writeDisk(test, backup, name, content));
  const body = { ...(await manifestBody(test, backup, disks)), ...more };
  const { manifest } = await commitManifest(test.vault, body, {}, signal);
  await deleteWork(test.vault, backup.runId, signal);
  return manifest;
}
