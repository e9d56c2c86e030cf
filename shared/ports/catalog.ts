/**
 * The catalog: rows in Table storage. Policies, VMs and runs have their home here; restore points are a projection of the
 * vault's manifests and can be rebuilt from them.
 *
 * 1. Every change of an existing row is conditional on the ETag it was read with.
 * 2. Rows are parsed when read; one that does not parse throws `internal`, naming table and key.
 * 3. "Absent" only where the service said so.
 */
import type { DiscoveryReport } from "../core/discovery-report.ts";
import type { PointId, PolicyName, RunId, VmId, VmName } from "../core/ids.ts";
import type { Policy } from "../core/policy.ts";
import type { RestorePoint } from "../core/restore-point.ts";
import type { Run, RunEvent } from "../core/run.ts";
import type { Timestamp } from "../core/timestamp.ts";
import type { ProtectedVm, VmState } from "../core/vm.ts";

export interface Stored<T> {
  readonly value: T;
  readonly etag: string;
}

export interface Page<T> {
  readonly items: readonly Stored<T>[];
  /** Opaque; give it back to go on. Absent at the end. */
  readonly continuation?: string;
}

export interface ListOptions<Where> {
  /** Each given column must be equal. */
  readonly where?: Partial<Where>;
  /** 1 to 1000; a page may hold fewer and still have a continuation. */
  readonly limit: number;
  readonly continuation?: string;
}

/** For collections that are listed whole. */
export type NoColumns = Readonly<Record<string, never>>;

export interface Collection<Key, T, Where> {
  get(key: Key, signal: AbortSignal): Promise<Stored<T> | undefined>;
  insert(value: T, signal: AbortSignal): Promise<Stored<T> | "exists">;
  /** `conflict`: the row has another ETag now, or is gone. */
  replace(stored: Stored<T>, value: T, signal: AbortSignal): Promise<Stored<T> | "conflict">;
  /** With `stored`, only if it still has that ETag. */
  remove(key: Key, stored: Stored<T> | undefined, signal: AbortSignal): Promise<"removed" | "absent" | "conflict">;
  list(options: ListOptions<Where>, signal: AbortSignal): Promise<Page<T>>;
}

/** How far a policy's schedule has been worked off: every slot up to and including this one has its runs. */
export interface ScheduleCursor {
  readonly policy: PolicyName;
  readonly slot: Timestamp;
}

/** What is known of a storage account: whether its changed-page list can be believed. */
export interface SourceAccount {
  readonly account: string;
  readonly diff: "exact" | "wrong";
  /** A sample that caught a wrong list in a real backup weighs more than a probe that found none. */
  readonly foundBy: "probe" | "sample";
  readonly probedAt: Timestamp;
  readonly note?: string;
}

/** The same Idempotency-Key gives the same run. */
export interface IdempotentRequest {
  /** Hex SHA-256 of what was asked and of the key. */
  readonly requestId: string;
  /** Hex SHA-256 of the request's body, where it has one: the key stands for this request alone. */
  readonly bodyHash?: string;
  readonly runId: RunId;
  readonly createdAt: Timestamp;
}

export interface Catalog {
  readonly policies: Collection<PolicyName, Policy, NoColumns>;
  readonly vms: Collection<VmName, ProtectedVm, { policy: PolicyName }>;
  readonly vmStates: Collection<VmId, VmState, NoColumns>;
  /** Newest first. `active` is true until the run has ended and its traces are removed. */
  readonly runs: Collection<RunId, Run, { vm: VmName; state: Run["state"]; kind: Run["kind"]; active: boolean }>;
  /** Oldest first. The same run, instant and name is one event. */
  readonly runEvents: Collection<RunEvent, RunEvent, { runId: RunId }>;
  /** Newest first within a VM; over all VMs in the order of their ids. */
  readonly restorePoints: Collection<{ vmId: VmId; pointId: PointId }, RestorePoint, { vmId: VmId }>;
  readonly scheduleCursors: Collection<PolicyName, ScheduleCursor, NoColumns>;
  readonly sourceAccounts: Collection<string, SourceAccount, NoColumns>;
  /** By the scope, in lower case. */
  readonly discoveryReports: Collection<string, DiscoveryReport, NoColumns>;
  readonly idempotentRequests: Collection<string, IdempotentRequest, NoColumns>;
}
