/**
 * VMs of Azure with their managed disks, by Azure Resource Manager (docs/azure.md).
 *
 * 1. A running VM of several disks, or one that is wanted better than crash-consistent, gets a restore point; else each disk gets an
 *    incremental snapshot.
 * 2. No function waits for either (begun-operation.ts). What an attempt made is named after it, and found by that name.
 * 3. A restore point is removed as a whole, with the first of its disks: no policy keeps one disk of a point and not the others.
 */
import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { FarsideError, hasCode } from "../../../core/errors.ts";
import type { ProtectedVm } from "../../../core/vm.ts";
import { requireSource } from "../../../core/vm.ts";
import type {
  ByteRange,
  ChangedRange,
  DiskSource,
  GuestState,
  OwnSnapshot,
  SnapshotAttempt,
  SnapshotOutcome,
  SourceDisk,
  VmInspection,
} from "../../../ports/disk-source.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { MachinePower } from "../../../ports/machine-power.ts";
import { readPages } from "../page-blob-facts.ts";
import { allocatedOf, changedOf } from "../page-range-list.ts";
import type { ByteWindow } from "../page-ranges.ts";
import { defaultTryTimeoutMs, withTryTimeout } from "../storage-clients.ts";
import { DiskAccess } from "./access.ts";
import { apiVersions, requireParts, type ArmConnection } from "./arm-connection.ts";
import { isNoAnswer } from "./arm-errors.ts";
import { lookAt, parseBegun, type BegunOperation } from "./begun-operation.ts";
import { parseReference, shownReference, type DiskReference, type Reference } from "./disk-reference.ts";
import { beginSnapshots, readSnapshots } from "./incremental-snapshots.ts";
import { readGuestState } from "./guest-state.ts";
import { inspectVm, type ManagedInspection } from "./inspect-vm.ts";
import { ManagedPower } from "./managed-power.ts";
import { ownSnapshots } from "./own-snapshots.ts";
import { pageLister } from "./page-list.ts";
import { MadeRemover } from "./remove-made.ts";
import { beginRestorePoint, readRestorePoint } from "./restore-points.ts";
import type { InspectedDisk } from "./vm-disks.ts";

export interface ManagedDisksOptions {
  /** Called when ARM is first needed. */
  readonly arm: () => Promise<ArmConnection>;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  /** Whose snapshots are ours: what is made for another vault is left alone. */
  readonly vaultId: (signal: AbortSignal) => Promise<string>;
  /** How long an operation is left alone before it is looked at again. */
  readonly lookAgainMs?: number;
}

const lookAgainMs = 15_000;
const longestLookMs = 5 * 60_000;
/** A restore point takes minutes; the background copy of the first one of a large Premium SSD v2 or Ultra disk, hours. */
const operationLimitMs = 2 * 3_600_000;
const copyLimitMs = 24 * 3_600_000;

export class ManagedDiskSource implements DiskSource {
  readonly quiesces = true;
  readonly power: MachinePower;
  readonly #arm: () => Promise<ArmConnection>;
  readonly #clock: Pick<Clock, "now" | "monotonic">;
  readonly #vaultId: (signal: AbortSignal) => Promise<string>;
  readonly #lookAgainMs: number;
  readonly #access: DiskAccess;
  readonly #remover: MadeRemover;
  /** By the list of disks that an inspection gave: what the port has no place for. */
  readonly #inspections = new WeakMap<readonly SourceDisk[], ManagedInspection>();

  constructor({ arm, clock, vaultId, ...options }: ManagedDisksOptions) {
    this.#arm = arm;
    this.#clock = clock;
    this.#vaultId = vaultId;
    this.power = new ManagedPower(arm);
    this.#lookAgainMs = options.lookAgainMs ?? lookAgainMs;
    this.#access = new DiskAccess(arm, () => clock.monotonic());
    this.#remover = new MadeRemover(arm, this.#access);
  }

  async inspect(vm: ProtectedVm, signal: AbortSignal): Promise<VmInspection> {
    const found = await inspectVm(await this.#arm(), requireSource(vm, "managed"), signal);
    const disks = found.disks.map(sourceDisk);
    this.#inspections.set(disks, found);
    const { powerState, conditions, configuration, leftDisks, idleRules = [], stopCosts = [] } = found;
    return { powerState, conditions, configuration, disks, leftDisks, idleRules, stopCosts };
  }

  async snapshot(
    vm: ProtectedVm,
    disks: readonly SourceDisk[],
    attempt: SnapshotAttempt,
    signal: AbortSignal,
  ): Promise<SnapshotOutcome> {
    const arm = await this.#arm();
    const vaultId = await this.#vaultId(signal);
    const managed = requireSource(vm, "managed");
    const { resourceId } = managed;
    const found = this.#inspections.get(disks) ?? (await inspectVm(arm, managed, signal));
    const { location } = found;
    const chosen = found.disks.filter(({ identity }) => disks.some((disk) => disk.identity === identity));
    const kept = chosen.map((disk) => ({ ...sourceDisk(disk), id: disk.id }));
    const startedAt = this.#clock.now();
    const method = methodOf(found, attempt);
    if (method.kind === "restore-point") {
      const { attemptId, wanted } = attempt;
      const asked = { resourceId, vaultId, location, attemptId, wanted, excluded: found.leftDisks };
      const made = await beginRestorePoint(arm, asked, signal);
      return this.#later({ ...method, made, disks: kept, startedAt });
    }
    const made = await beginSnapshots(
      arm,
      { vmId: vm.vmId, vaultId, resourceId, location, disks: chosen, attempt },
      signal,
    );
    return this.#later({ ...method, made, disks: kept, startedAt });
  }

  async continueSnapshot(
    _vm: ProtectedVm,
    operation: string,
    _attempt: SnapshotAttempt,
    signal: AbortSignal,
  ): Promise<SnapshotOutcome> {
    const arm = await this.#arm();
    const begun = parseBegun(operation);
    try {
      const made: BegunOperation["made"] = [];
      for (const one of begun.made) made.push(await lookAtOne(arm, begun.kind, one, signal));
      const now = { ...begun, made };
      if (made.some(isRunning)) return this.#later(now, operationLimitMs);
      const read = begun.kind === "restore-point" ? readRestorePoint : readSnapshots;
      const finished = await read(arm, now, signal);
      // What the disks held is fixed when the operation has ended; the copy goes on behind it.
      if (finished.kind === "copying") return { ...this.#later(now, copyLimitMs), isFixed: true };
      return { kind: "taken", snapshots: finished.snapshots, consistency: finished.achieved };
    } catch (error) {
      // What the platform makes goes on: a look that failed is no reason to make it anew, of which there are three in an hour.
      if (!isNoAnswer(error)) throw error;
      return this.#later(begun, begun.made.some(isRunning) ? operationLimitMs : copyLimitMs, error.retryAfterMs);
    }
  }

  async listSnapshots(vm: ProtectedVm, signal: AbortSignal): Promise<readonly OwnSnapshot[]> {
    const { resourceId } = requireSource(vm, "managed");
    const vaultId = await this.#vaultId(signal);
    const own = await ownSnapshots(await this.#arm(), vm, { resourceId, vaultId }, signal);
    this.#remover.seen(own.map(({ reference }) => parseReference(reference)));
    return own;
  }

  async removeSnapshot(reference: Reference, signal: AbortSignal): Promise<void> {
    await this.#remover.remove(parseReference(reference), signal);
  }

  async release(reference: Reference, signal: AbortSignal): Promise<void> {
    await this.#access.giveBack(parseReference(reference), signal);
  }

  async snapshotExists(reference: Reference, signal: AbortSignal): Promise<boolean> {
    const { kind, id } = parseReference(reference);
    const version = kind === "restore-point" ? apiVersions.compute : apiVersions.disk;
    try {
      await (await this.#arm()).get(id, { "api-version": version }, "look for a snapshot", signal);
      return true;
    } catch (error) {
      if (hasCode(error, "not-found")) return false;
      throw error;
    }
  }

  accountOf(reference: Reference): string {
    return `managed-disks-${requireParts(parseReference(reference).id).subscriptionId}`;
  }

  /**
   * Not probed: it would take a disk, an upload and two snapshots. What the service lists is sampled at every backup instead, and one
   * sample that differs ends the belief in it for the subscription.
   */
  probeDiff(): Promise<{ diff: "exact"; note: string }> {
    return Promise.resolve({ diff: "exact", note: "managed disks are not probed, every backup samples them." });
  }

  async *allocatedRanges(reference: Reference, window: ByteWindow, signal: AbortSignal): AsyncGenerator<ByteRange> {
    const current = parseReference(reference);
    const list = this.#lister([current], shownReference(current), signal);
    yield* allocatedOf(list, window);
  }

  async *changedRanges(
    reference: Reference,
    parent: Reference,
    window: ByteWindow,
    signal: AbortSignal,
  ): AsyncGenerator<ChangedRange> {
    const [current, older] = [parseReference(reference), parseReference(parent)];
    const what = shownReference(current);
    if (current.kind !== older.kind) {
      // Whether a restore point and a snapshot of one disk share a family is not documented.
      throw new FarsideError(
        "not-found",
        `There is nothing to compare ${what} with: the snapshot before was of another kind.`,
      );
    }
    const list = this.#lister([current, older], what, signal);
    yield* changedOf(list, window);
  }

  async read(
    reference: Reference,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const current = parseReference(reference);
    return this.#access.with([current], signal, ([sas = ""]) => {
      const client = withTryTimeout(
        defaultTryTimeoutMs,
        (options) => new PageBlobClient(sas, new AnonymousCredential(), options),
      );
      return readPages(client, offset, length, shownReference(current), signal);
    });
  }

  guestState(reference: Reference, signal: AbortSignal): Promise<GuestState> {
    return readGuestState(this.#access, parseReference(reference), signal);
  }

  #lister(references: readonly DiskReference[], what: string, signal: AbortSignal) {
    return pageLister((call) => this.#access.with(references, signal, call), what, signal);
  }

  /** Looked at the less often the longer it takes: some thirty times in two hours. */
  #later(
    begun: BegunOperation,
    limitMs = operationLimitMs,
    askedMs = 0,
  ): Extract<SnapshotOutcome, { kind: "waiting" }> {
    const elapsedMs = this.#clock.now() - begun.startedAt;
    if (elapsedMs > limitMs) {
      throw new FarsideError(
        "deadline-passed",
        `The platform has not finished the ${begun.kind.replace("-", " ")} in ${Math.round(elapsedMs / 60_000)} minutes: it is given up.`,
      );
    }
    const retryAfterMs = Math.min(Math.max(this.#lookAgainMs, elapsedMs / 4), longestLookMs);
    return {
      kind: "waiting",
      operation: JSON.stringify(begun),
      retryAfterMs: Math.max(Math.round(retryAfterMs), askedMs),
    };
  }
}

function sourceDisk(inspected: InspectedDisk): SourceDisk {
  const { id: _, sku: __, ...disk } = inspected;
  return disk;
}

function isRunning({ poller }: BegunOperation["made"][number]): boolean {
  return poller !== undefined;
}

type Method = Pick<BegunOperation, "kind" | "note">;

/** Disks whose crash-consistent restore points the platform does not make. */
const notInCrashMode = /^(?:UltraSSD|PremiumV2)_/;

function methodOf({ disks, powerState, crashDoubt }: ManagedInspection, { wanted, isHalted }: SnapshotAttempt): Method {
  const several = disks.length > 1;
  // At rest, or a single one: nothing to bring to one instant.
  if (isHalted === true || powerState === "stopped" || (wanted === "crash" && !several)) return { kind: "snapshots" };
  if (wanted === "crash" && disks.some(({ sku }) => notInCrashMode.test(sku ?? ""))) {
    const note =
      "The platform makes no crash-consistent restore points of Ultra and Premium SSD v2 disks: each disk was snapshotted by itself, and nothing holds them to one instant.";
    return { kind: "snapshots", note };
  }
  return { kind: "restore-point", ...(crashDoubt === undefined || !several ? {} : { note: crashDoubt }) };
}

async function lookAtOne(
  arm: ArmConnection,
  kind: BegunOperation["kind"],
  { id, poller }: BegunOperation["made"][number],
  signal: AbortSignal,
): Promise<BegunOperation["made"][number]> {
  if (poller === undefined) return { id };
  const { subscriptionId } = requireParts(id);
  const client = arm.compute(subscriptionId);
  const state =
    kind === "restore-point"
      ? await lookAt(
          arm,
          subscriptionId,
          { state: poller, of: client.restorePoints.create },
          "make a restore point",
          signal,
        )
      : await lookAt(
          arm,
          subscriptionId,
          { state: poller, of: client.snapshots.createOrUpdate },
          "make a snapshot",
          signal,
        );
  return state === undefined ? { id } : { id, poller: state };
}
