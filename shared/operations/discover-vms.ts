/**
 * Timer tick, or on demand: VMs that carry the tag are protected by the policy that it names, and no longer when it is gone.
 *
 * 1. The plan is made from whole listings and from rows; each of its steps looks again at the row that it changes, so that two looks at
 *    once, or one that died half-way, do no harm: the next one does what is left.
 * 2. One VM that fails does not keep the others waiting: it is told, and tried again at the next look.
 * 3. Who gains protection comes before who loses it.
 */
import { isProblem, type DiscoveryFinding } from "../core/discovery-finding.ts";
import { planDiscovery, type DiscoveryStep } from "../core/discovery-plan.ts";
import { FarsideError, hasCode } from "../core/errors.ts";
import type { PolicyName, VmName } from "../core/ids.ts";
import type { VmResourceId } from "../core/resource-id.ts";
import { timestamp } from "../core/timestamp.ts";
import type { ProtectedVm } from "../core/vm.ts";
import type { Context } from "./context.ts";
import { saveReports } from "./manage/discovery-reports.ts";
import { listScopes, type ListedScope } from "./manage/list-scopes.ts";
import { listWhole } from "./manage/list-whole.ts";
import { isOf, protectDiscovered } from "./manage/protect-discovered.ts";
import { unprotectDiscovered } from "./manage/unprotect-discovered.ts";

export interface DiscoverInput {
  /** Tells what it would do, and changes nothing. */
  readonly dryRun?: boolean;
  /** A person confirms that many VMs lose their protection at once. */
  readonly acceptRemovals?: boolean;
  /** It ends by itself after this long. */
  readonly budgetMs?: number;
}

export interface DiscoveryOutcome {
  readonly dryRun: boolean;
  readonly tag: string;
  readonly scopes: readonly ListedScope[];
  readonly findings: readonly DiscoveryFinding[];
  /** Protected by their tags, and as they should be. */
  readonly unchanged: number;
  /** Steps that the time did not suffice for: the next look does them. */
  readonly left: number;
}

/** Throws `bad-input` where no scope is configured. */
export async function discoverVms(
  context: Context,
  input: DiscoverInput,
  signal: AbortSignal,
): Promise<DiscoveryOutcome> {
  const { dryRun = false, acceptRemovals = false, budgetMs = context.limits.stepBudgetMs } = input;
  const { scopes, tag } = context.discovery;
  if (scopes.length === 0) {
    throw new FarsideError("bad-input", "No place is configured to look for VMs: set FARSIDE_DISCOVER.");
  }
  const deadline = context.clock.monotonic() + budgetMs;
  const policies = (await listWhole(context.catalog.policies, {}, signal)).map(({ name }) => name);
  const rows = await listWhole(context.catalog.vms, {}, signal);
  const listed = await listScopes(context, deadline, signal);
  const { steps, unchanged } = planDiscovery({ tag, listings: listed, rows, policies, acceptRemovals });
  const findings: DiscoveryFinding[] = [];
  const rehearsed = dryRun ? new Set<VmName>() : undefined;
  let left = 0;
  for (const step of steps) {
    if (step.kind !== "tell" && context.clock.monotonic() > deadline) left++;
    else findings.push(await takeStep(context, step, rehearsed, signal));
  }
  for (const finding of findings) tell(context, finding);
  if (!dryRun) await saveReports(context, listed, findings.flatMap(problemOf), signal);
  return { dryRun, tag, scopes: listed, findings, unchanged, left };
}

/** `rehearsed`: of a dry run, the names that VMs would get. */
async function takeStep(
  context: Context,
  step: DiscoveryStep,
  rehearsed: Set<VmName> | undefined,
  signal: AbortSignal,
): Promise<DiscoveryFinding> {
  try {
    return await doStep(context, step, rehearsed, signal);
  } catch (error) {
    if (!(error instanceof FarsideError) || signal.aborted) throw error;
    const about = step.kind === "protect" ? { resourceId: step.vm.resourceId } : rowFacts(step);
    const action = hasCode(error, "run-active", "throttled", "conflict") ? "put-off" : "failed";
    return { action, ...about, note: error.message };
  }
}

async function doStep(
  context: Context,
  step: DiscoveryStep,
  rehearsed: Set<VmName> | undefined,
  signal: AbortSignal,
): Promise<DiscoveryFinding> {
  const dryRun = rehearsed !== undefined;
  switch (step.kind) {
    case "protect": {
      const { vm, policy } = step;
      const name = await protectDiscovered(context, { vm, policy, rehearsed }, signal);
      return { action: "protected", resourceId: vm.resourceId, vm: name, policy };
    }
    case "change-policy": {
      const note = `It followed ${step.row.policy} before.`;
      if (!dryRun) await changePolicy(context, step.row, step.policy, signal);
      return { action: "policy-changed", ...rowFacts(step), policy: step.policy, note };
    }
    case "remove": {
      const { row, reason } = step;
      const ended = await unprotectDiscovered(context, { row, reason, dryRun }, signal);
      return { action: actionOf[ended.kind], ...rowFacts(step), note: ended.note };
    }
    case "tell":
      return { action: step.finding, ...rowFacts(step), note: step.note };
    default:
      return step satisfies never;
  }
}

const actionOf = { unprotected: "unprotected", changed: "put-off", doubtful: "failed" } as const;

async function changePolicy(
  context: Context,
  { name, source }: ProtectedVm,
  policy: PolicyName,
  signal: AbortSignal,
): Promise<void> {
  const stored = await context.catalog.vms.get(name, signal);
  const isSame = source.kind === "managed" && stored !== undefined && isOf(stored.value, source.resourceId);
  if (stored === undefined || !isSame || stored.value.protectedBy !== "tag") return;
  const next = { ...stored.value, policy, updatedAt: timestamp(context.clock.now()) };
  if ((await context.catalog.vms.replace(stored, next, signal)) !== "conflict") return;
  throw new FarsideError("conflict", `The VM ${name} was changed at the same time: it is looked at again.`);
}

function rowFacts(step: Exclude<DiscoveryStep, { kind: "protect" }>): Omit<DiscoveryFinding, "action"> {
  if (step.kind !== "tell") return { resourceId: resourceOf(step.row), vm: step.row.name, policy: step.row.policy };
  const { resourceId, row } = step;
  return { resourceId, ...(row === undefined ? {} : { vm: row.name, policy: row.policy }) };
}

function resourceOf({ name, source }: ProtectedVm): VmResourceId {
  if (source.kind === "managed") return source.resourceId;
  throw new FarsideError("internal", `The VM ${name} is none of Azure.`);
}

function tell(context: Context, finding: DiscoveryFinding): void {
  const { action, resourceId, vm, note = "" } = finding;
  // Told where it is done, or nothing new.
  if (action === "manual" || action === "protected") return;
  const level = isProblem(finding) ? "warning" : "info";
  context.log.log(level, "discovery-finding", { action, resourceId, ...(vm === undefined ? {} : { vm }), note });
}

function problemOf(finding: DiscoveryFinding) {
  return isProblem(finding) ? [{ resourceId: finding.resourceId, problem: finding.note ?? "" }] : [];
}
