/** The catalog's tables: where each row stands and what lists filter by. Lists come in the order of partition, then row. */
import type { PointId, PolicyName, RunId, VmId, VmName } from "../../core/ids.ts";
import type { Policy } from "../../core/policy.ts";
import type { RestorePoint } from "../../core/restore-point.ts";
import { hasEnded, type Run, type RunEvent } from "../../core/run.ts";
import { descendingUlid } from "../../core/ulid.ts";
import type { ProtectedVm, VmState } from "../../core/vm.ts";
import type { z } from "zod";
import { discoveryReportRow } from "./discovery-row.ts";
import { policyRow } from "./policy-row.ts";
import { restorePointRow } from "./restore-point-row.ts";
import type { CollectionDefinition } from "./row.ts";
import { runEventRow, runRow } from "./run-row.ts";
import { idempotentRequestRow, scheduleCursorRow, sourceAccountRow } from "./small-rows.ts";
import { vmRow, vmStateRow } from "./vm-row.ts";

type NoColumns = Readonly<Record<string, never>>;

/**
 * A text as part of a table key. Keys may not hold "/", "\", "#", "?" or control characters; every byte that is not a
 * letter, a digit, "." , "_" or "-" becomes "~" and two hex digits, so that two texts never share a key.
 */
export function keyText(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => {
    const letter = String.fromCharCode(byte);
    return /[A-Za-z0-9._-]/.test(letter) ? letter : `~${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}

/** A collection that is small enough for one partition and is listed whole. */
function whole<Key extends string, T>(
  table: string,
  schema: z.ZodType<T>,
  keyOf: (value: T) => Key,
): CollectionDefinition<Key, T, NoColumns> {
  return {
    table,
    schemaVersion: 1,
    schema,
    keyOf,
    rowKeyOf: (key) => ({ partitionKey: "all", rowKey: keyText(key) }),
    columnsOf: () => ({}),
    partitionOf: () => "all",
  };
}

const runs: CollectionDefinition<RunId, Run, { vm: VmName; state: Run["state"]; kind: Run["kind"]; active: boolean }> =
  {
    table: "farsideruns",
    schemaVersion: 1,
    schema: runRow,
    keyOf: (run) => run.runId,
    rowKeyOf: (runId) => ({ partitionKey: "all", rowKey: descendingUlid(runId) }),
    columnsOf: (run) => ({ vm: run.vm, state: run.state, kind: run.kind, active: isActive(run) }),
    partitionOf: () => "all",
  };

const vms: CollectionDefinition<VmName, ProtectedVm, { policy: PolicyName }> = {
  table: "farsidevms",
  schemaVersion: 1,
  schema: vmRow,
  keyOf: (vm) => vm.name,
  rowKeyOf: (name) => ({ partitionKey: "all", rowKey: keyText(name) }),
  columnsOf: (vm) => ({ policy: vm.policy }),
  partitionOf: () => "all",
};

const runEvents: CollectionDefinition<RunEvent, RunEvent, { runId: RunId }> = {
  table: "farsiderunevents",
  schemaVersion: 1,
  schema: runEventRow,
  keyOf: (event) => event,
  rowKeyOf: (event) => ({ partitionKey: event.runId, rowKey: `${event.at}~${keyText(event.name)}` }),
  columnsOf: (event) => ({ runId: event.runId }),
  partitionOf: (where) => where.runId,
};

const restorePoints: CollectionDefinition<{ vmId: VmId; pointId: PointId }, RestorePoint, { vmId: VmId }> = {
  table: "farsiderestorepoints",
  schemaVersion: 1,
  schema: restorePointRow,
  keyOf: ({ vmId, pointId }) => ({ vmId, pointId }),
  rowKeyOf: ({ vmId, pointId }) => ({ partitionKey: vmId, rowKey: descendingUlid(pointId) }),
  columnsOf: (point) => ({ vmId: point.vmId }),
  partitionOf: (where) => where.vmId,
};

export const collections = {
  policies: whole<PolicyName, Policy>("farsidepolicies", policyRow, (policy) => policy.name),
  vms,
  vmStates: whole<VmId, VmState>("farsidevmstates", vmStateRow, (state) => state.vmId),
  runs,
  runEvents,
  restorePoints,
  scheduleCursors: whole("farsideschedulecursors", scheduleCursorRow, (cursor) => cursor.policy),
  sourceAccounts: whole("farsidesourceaccounts", sourceAccountRow, (source): string => source.account),
  discoveryReports: whole("farsidediscoveryreports", discoveryReportRow, (report): string =>
    report.scope.toLowerCase(),
  ),
  idempotentRequests: whole("farsideidempotentrequests", idempotentRequestRow, (request): string => request.requestId),
} as const;

/** Until the run has ended and its traces are removed. */
function isActive(run: Run): boolean {
  if (!hasEnded(run)) return true;
  return "cleanUp" in run && run.cleanUp === "pending";
}
