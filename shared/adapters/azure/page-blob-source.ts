/**
 * Disks that are page blobs of the configured storage accounts (the port says what a source must do).
 *
 * 1. A reference is `{account, container, blob, snapshot}`. A disk's identity is its place and the blob's creation time, which
 *    a resize keeps, and which an overwrite, or a removal and another creation, changes (to the second).
 * 2. Each snapshot carries its run, attempt and disk as metadata: what an attempt made is found by looking, also where the
 *    answer to its creation was lost. Creating one is tried once, for a second try could make a second snapshot and the guest waits.
 * 3. Two snapshots of one blob in the same millisecond get one id from the emulator. So each is looked at after it was made; one
 *    that is not this attempt's is left to its owner and another is made.
 */
import type { PageBlobClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import type { AttemptId, RunId } from "../../core/ids.ts";
import type { DiskSnapshot } from "../../core/run.ts";
import { vhdFooterBytes } from "../../core/vhd.ts";
import type { PageBlobDisk, ProtectedVm } from "../../core/vm.ts";
import { requireSource } from "../../core/vm.ts";
import type {
  ByteRange,
  ChangedRange,
  DiskSource,
  OwnSnapshot,
  SnapshotOutcome,
  SourceDisk,
  VmInspection,
} from "../../ports/disk-source.ts";
import { probeDiff } from "./diff-probe.ts";
import { diskSizeBytes, pageBlobFacts, readPages } from "./page-blob-facts.ts";
import { listSnapshotsOf } from "./list-snapshots.ts";
import { allocatedOf, changedOf, rangeLister } from "./page-range-list.ts";
import { changedFrom, type ByteWindow } from "./page-ranges.ts";
import { identityOf, ownIds, snapshotTime } from "./snapshot-facts.ts";
import type { BlobPlace, StorageAccounts } from "./storage-accounts.ts";
import { isAnswer, storageCall } from "./storage-call.ts";

type Reference = Readonly<Record<string, string>>;
type Attempt = { readonly runId: RunId; readonly attemptId: AttemptId };

const snapshotLimitMs = 10_000;
const cleanUpLimitMs = 30_000;
const snapshotTries = 3;

export class PageBlobSource implements DiskSource {
  readonly quiesces = false;
  readonly #accounts: StorageAccounts;

  constructor(accounts: StorageAccounts) {
    this.#accounts = accounts;
  }

  async inspect(vm: ProtectedVm, signal: AbortSignal): Promise<VmInspection> {
    const source = requireSource(vm, "page-blob");
    const found = await Promise.all(
      source.disks.map(async (disk) => {
        const place = this.#accounts.place(disk.url);
        const client = this.#accounts.pageBlob(place);
        const what = this.#name(place);
        const facts = await pageBlobFacts(client, what, signal);
        return { disk, place, facts, sizeBytes: await diskSizeBytes(client, facts.blobBytes, what, signal) };
      }),
    );
    return {
      powerState: source.powerState ?? "unknown",
      conditions: found.some(({ facts }) => facts.isBeingMade) ? ["provisioning"] : [],
      disks: found.map(({ disk, place, facts, sizeBytes }) => ({
        name: disk.name,
        ...(disk.lun === undefined ? {} : { lun: disk.lun }),
        role: disk.role,
        sizeBytes,
        logicalSectorSize: 512,
        identity: identityOf(place, facts),
      })),
      configuration: {
        kind: "page-blob",
        ...(vm.osType === undefined ? {} : { osType: vm.osType }),
        ...(vm.osVersion === undefined ? {} : { osVersion: vm.osVersion }),
        ...(vm.role === undefined ? {} : { role: vm.role }),
        disks: found.map(({ disk, facts, sizeBytes }) => ({
          name: disk.name,
          url: disk.url,
          role: disk.role,
          ...(disk.lun === undefined ? {} : { lun: disk.lun }),
          sizeBytes,
          vhdFooter: facts.blobBytes !== sizeBytes,
        })),
      },
    };
  }

  async snapshot(
    vm: ProtectedVm,
    disks: readonly SourceDisk[],
    attempt: Attempt,
    signal: AbortSignal,
  ): Promise<SnapshotOutcome> {
    const results = await Promise.allSettled(disks.map((disk) => this.#snapshotDisk(vm, disk, attempt, signal)));
    const failed = results.find((result) => result.status === "rejected");
    if (failed === undefined) {
      const snapshots = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
      return { kind: "taken", snapshots };
    }
    const left = await this.#removeAttempt(vm, attempt);
    signal.throwIfAborted();
    const reason = failed.reason instanceof Error ? failed.reason.message : String(failed.reason);
    throw new FarsideError("snapshot-failed", `Not every disk of ${vm.name} could be snapshotted, ${left}: ${reason}`, {
      cause: failed.reason,
      details: { vm: vm.name },
    });
  }

  /** Its snapshots are there with the answer: it has never begun anything. */
  continueSnapshot(): Promise<SnapshotOutcome> {
    return Promise.reject(new FarsideError("internal", "The snapshots of page blobs are not waited for."));
  }

  async listSnapshots(vm: ProtectedVm, signal: AbortSignal): Promise<readonly OwnSnapshot[]> {
    const lists = await Promise.all(
      requireSource(vm, "page-blob").disks.map((disk) => this.#snapshotsOf(disk, signal)),
    );
    return lists.flat();
  }

  async removeSnapshot(reference: Reference, signal: AbortSignal): Promise<void> {
    const { client, what } = this.#open(reference);
    await storageCall(`remove ${what}`, signal, (abortSignal) => unlessAbsent(client.delete({ abortSignal })));
  }

  /** Read with the account's own key or identity: nothing was taken. */
  async release(): Promise<void> {}

  async snapshotExists(reference: Reference, signal: AbortSignal): Promise<boolean> {
    const { client, what } = this.#open(reference);
    const look = (abortSignal: AbortSignal) => unlessAbsent(client.getProperties({ abortSignal }));
    return (await storageCall(`look for ${what}`, signal, look)) !== undefined;
  }

  accountOf(reference: Reference): string {
    return field(reference, "account");
  }

  async probeDiff(reference: Reference, signal: AbortSignal) {
    const container = this.#accounts.containerClient(this.accountOf(reference), field(reference, "container"));
    return probeDiff(
      container,
      async (client, parent, bounded) => {
        const { contentLength = 0 } = await client.getProperties({ abortSignal: bounded });
        const window = { fromByte: 0, toByte: contentLength };
        const ranges = await Array.fromAsync(rangeLister(client, parent, "a page blob made to probe", bounded)(window));
        return changedFrom(ranges.flat(), window);
      },
      signal,
    );
  }

  async *allocatedRanges(reference: Reference, window: ByteWindow, signal: AbortSignal): AsyncGenerator<ByteRange> {
    const { client, what } = this.#open(reference);
    const list = rangeLister(client, undefined, what, signal);
    yield* allocatedOf(list, window);
  }

  async *changedRanges(
    reference: Reference,
    parent: Reference,
    window: ByteWindow,
    signal: AbortSignal,
  ): AsyncGenerator<ChangedRange> {
    const { client, what } = this.#open(reference);
    const isSameBlob = (["account", "container", "blob"] as const).every((key) => reference[key] === parent[key]);
    if (!isSameBlob) {
      throw new FarsideError("internal", `${what} was compared with a snapshot of another blob.`);
    }
    const list = rangeLister(client, field(parent, "snapshot"), what, signal);
    yield* changedOf(list, window);
  }

  async read(
    reference: Reference,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { client, what } = this.#open(reference);
    return readPages(client, offset, length, what, signal);
  }

  async #snapshotDisk(
    vm: ProtectedVm,
    disk: SourceDisk,
    { runId, attemptId }: Attempt,
    signal: AbortSignal,
  ): Promise<DiskSnapshot> {
    const place = this.#placeOf(vm, disk);
    const base = this.#accounts.pageBlobOnce(place);
    const metadata = { farsiderun: runId, farsideattempt: attemptId, farsidedisk: disk.name };
    for (let tries = 1; tries <= snapshotTries; tries++) {
      const what = this.#name(place);
      const create = (abortSignal: AbortSignal) => base.createSnapshot({ metadata, abortSignal });
      const { snapshot = "" } = await storageCall(`snapshot ${what}`, signal, create, snapshotLimitMs);
      const reference = { ...place, snapshot };
      const { client } = this.#open(reference);
      const [facts, now] = await Promise.all([
        pageBlobFacts(client, what, signal),
        pageBlobFacts(this.#accounts.pageBlob(place), what, signal),
      ]);
      if (identityOf(place, now) !== disk.identity) {
        throw new FarsideError("snapshot-failed", `${what} was replaced by another blob while it was backed up.`);
      }
      // Another's, made in the same millisecond under the same id (rule 3).
      if (facts.metadata["farsideattempt"] !== attemptId) continue;
      const isAsInspected = facts.blobBytes === disk.sizeBytes || facts.blobBytes === disk.sizeBytes + vhdFooterBytes;
      return {
        disk: disk.name,
        ...(disk.lun === undefined ? {} : { lun: disk.lun }),
        role: disk.role,
        sizeBytes: isAsInspected ? disk.sizeBytes : await diskSizeBytes(client, facts.blobBytes, what, signal),
        logicalSectorSize: disk.logicalSectorSize,
        identity: disk.identity,
        snapshotAt: snapshotTime(snapshot, what),
        reference,
      };
    }
    throw new FarsideError(
      "snapshot-failed",
      `${this.#name(place)} gave ${snapshotTries} snapshots that belong to another attempt.`,
    );
  }

  /** Says how it went, for a message. What is left is found again by `listSnapshots`. */
  async #removeAttempt(vm: ProtectedVm, { attemptId }: Attempt): Promise<string> {
    // Its own time: it must also be done when the caller gave up.
    const signal = AbortSignal.timeout(cleanUpLimitMs);
    try {
      const made = (await this.listSnapshots(vm, signal)).filter((own) => own.attemptId === attemptId);
      await Promise.all(made.map((own) => this.removeSnapshot(own.reference, signal)));
      return "and those that were made are removed";
    } catch (error) {
      const code = error instanceof FarsideError ? error.code : "internal";
      return `and those that were made could not be removed yet (${code})`;
    }
  }

  async #snapshotsOf(disk: PageBlobDisk, signal: AbortSignal): Promise<OwnSnapshot[]> {
    const place = this.#accounts.place(disk.url);
    const own: OwnSnapshot[] = [];
    for (const { snapshot, metadata } of await listSnapshotsOf(this.#accounts, place, signal)) {
      const ids = ownIds(metadata);
      if (ids !== undefined) own.push({ ...ids, reference: { ...place, snapshot } });
    }
    return own;
  }

  #placeOf(vm: ProtectedVm, disk: SourceDisk): BlobPlace {
    const known = requireSource(vm, "page-blob").disks.find((one) => one.name === disk.name);
    if (known === undefined) throw new FarsideError("internal", `${vm.name} has no disk ${disk.name}.`);
    return this.#accounts.place(known.url);
  }

  #open(reference: Reference): { readonly client: PageBlobClient; readonly what: string } {
    const place = {
      account: field(reference, "account"),
      container: field(reference, "container"),
      blob: field(reference, "blob"),
    };
    const snapshot = field(reference, "snapshot");
    const client = this.#accounts.pageBlob(place).withSnapshot(snapshot);
    return { client, what: `the snapshot ${snapshot} of ${this.#name(place)}` };
  }

  #name(place: BlobPlace): string {
    return `the page blob ${this.#accounts.urlOf(place)}`;
  }
}

/** Undefined where the service itself said that there is no such blob; the SDK's own `…IfExists` believe any 404. */
async function unlessAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isAnswer(error, "BlobNotFound", "ContainerNotFound")) return undefined;
    throw error;
  }
}

function field(reference: Reference, name: "account" | "container" | "blob" | "snapshot"): string {
  const value = reference[name];
  if (value === undefined) throw new FarsideError("internal", `A snapshot's reference has no ${name}.`);
  return value;
}
