import pLimit from "p-limit";
import type { DiscoveryReport } from "../../core/discovery-report.ts";
import type { Policy } from "../../core/policy.ts";
import type { Run } from "../../core/run.ts";
import type { RunId } from "../../core/ids.ts";
import { haltOf } from "../../core/run-transitions.ts";
import { hasEnded } from "../../core/run.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { msBetween, timestamp } from "../../core/timestamp.ts";
import type { ProtectedVm, VmState } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { listWhole } from "./list-whole.ts";

export interface VmStatus {
  readonly vm: ProtectedVm;
  readonly state: VmState | undefined;
  readonly policy: Policy | undefined;
  /** Against the policy's RPO: `none` has no restore point yet. */
  readonly protection: "ok" | "late" | "none";
  /** Of the newest restore point. */
  readonly ageSeconds?: number;
  readonly nextBackupAt?: Timestamp;
  readonly activeRun?: Run;
  /** It was stopped for its backup, and is not known to run again. */
  readonly down?: { readonly runId: RunId; readonly since: Timestamp; readonly failedStarts: number };
  readonly lastRun?: Run;
}

export interface FleetStatus {
  readonly at: Timestamp;
  readonly vms: readonly VmStatus[];
  /** How the last look at each scope went; empty where none is configured. */
  readonly discovery: readonly DiscoveryReport[];
}

const readsAtOnce = 16;

/** Every protected VM: its newest restore point against its RPO, what runs now, and how the last run ended. */
export async function fleetStatus(
  context: Context,
  _input: Readonly<Record<string, never>>,
  signal: AbortSignal,
): Promise<FleetStatus> {
  const { catalog } = context;
  const now = timestamp(context.clock.now());
  const policies = new Map<string, Policy>();
  for (const policy of await listWhole(catalog.policies, {}, signal)) policies.set(policy.name, policy);
  const limit = pLimit(readsAtOnce);
  const vms = await listWhole(catalog.vms, {}, signal);
  const statuses = await Promise.all(
    vms.map((vm) => limit(() => vmStatus(context, vm, policies.get(vm.policy), now, signal))),
  );
  const discovery = context.discovery.scopes.length === 0 ? [] : await listWhole(catalog.discoveryReports, {}, signal);
  return { at: now, vms: statuses, discovery };
}

async function vmStatus(
  context: Context,
  vm: ProtectedVm,
  policy: Policy | undefined,
  now: Timestamp,
  signal: AbortSignal,
): Promise<VmStatus> {
  const { catalog, calendar } = context;
  const state = (await catalog.vmStates.get(vm.vmId, signal))?.value;
  const runOf = async (id: VmState["lastRunId"]): Promise<Run | undefined> =>
    id === undefined ? undefined : (await catalog.runs.get(id, signal))?.value;
  const activeRun = await runOf(state?.activeRunId);
  const lastRun = await runOf(state?.lastRunId);
  const ageSeconds =
    state?.lastPointAt === undefined ? undefined : Math.max(0, Math.round(msBetween(state.lastPointAt, now) / 1000));
  const nextBackupAt = policy?.schedule === undefined ? undefined : calendar.next(policy.schedule, now);
  return {
    vm,
    state,
    policy,
    protection: protectionOf(ageSeconds, policy?.rpoSeconds),
    ...(ageSeconds === undefined ? {} : { ageSeconds }),
    ...(nextBackupAt === undefined ? {} : { nextBackupAt }),
    ...downOf(activeRun),
    ...(activeRun === undefined || hasEnded(activeRun) ? {} : { activeRun }),
    ...(lastRun === undefined ? {} : { lastRun }),
  };
}

/** Also of a run that has ended: it keeps its VM until it runs. */
function downOf(run: Run | undefined): Pick<VmStatus, "down"> {
  const halt = run === undefined ? undefined : haltOf(run);
  if (run === undefined || halt === undefined) return {};
  return { down: { runId: run.runId, since: halt.requestedAt, failedStarts: halt.failedStarts } };
}

function protectionOf(ageSeconds: number | undefined, rpoSeconds: number | undefined): VmStatus["protection"] {
  if (ageSeconds === undefined) return "none";
  return rpoSeconds !== undefined && ageSeconds > rpoSeconds ? "late" : "ok";
}
