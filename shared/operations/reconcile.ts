/**
 * Timer tick: finds what stands still and drives it on, from rows and blobs alone. Messages may all be lost and every process dead: run
 * by run, everything comes to its end from here.
 *
 * 1. Nothing here decides differently than a step would: it sends a step's message, or does a step's own work.
 * 2. One thing that fails does not keep the others waiting.
 * 3. Work per tick is bounded: by time for runs, in random order so that none always comes last; by number for VMs.
 */
import type { ProtectedVm } from "../core/vm.ts";
import { haltOf } from "../core/run-transitions.ts";
import type { Run } from "../core/run.ts";
import { fraction } from "../ports/random.ts";
import type { Context } from "./context.ts";
import { listAll } from "./list-all.ts";
import type { ReconcileCounts, ReconcileOutcome } from "./reconcile/counts.ts";
import { reconcileRun } from "./reconcile/reconcile-run.ts";
import { sweepVm } from "./reconcile/sweep-vm.ts";
import { sweepWork } from "./reconcile/sweep-work.ts";

export interface ReconcileInput {
  /** `all`: look after every VM's restore points and snapshots in this tick, not only after a few by chance. */
  readonly sweep?: "all";
}

const vmsPerTick = 2;

export async function reconcile(
  context: Context,
  input: ReconcileInput,
  signal: AbortSignal,
): Promise<ReconcileOutcome> {
  const counts: ReconcileCounts = {
    runsSeen: 0,
    runsDriven: 0,
    runsEnded: 0,
    runsCleaned: 0,
    pointsSealed: 0,
    rowsRebuilt: 0,
    orphansRemoved: 0,
    failures: 0,
  };
  const deadline = context.clock.monotonic() + context.limits.stepBudgetMs;
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    if (context.clock.monotonic() > deadline) return;
    signal.throwIfAborted();
    try {
      await work();
    } catch (error) {
      counts.failures++;
      context.log.log("warning", "reconcile-failed", { what, error: String(error) });
    }
  };

  const runs: Run[] = [];
  for await (const { value } of listAll(context.catalog.runs, { active: true }, signal)) runs.push(value);
  // A machine that stands still first.
  const [halted, others] = [runs.filter(haltOf), runs.filter((run) => haltOf(run) === undefined)];
  for (const run of [...shuffled(context, halted), ...shuffled(context, others)]) {
    counts.runsSeen++;
    await attempt(`run ${run.runId}`, () => reconcileRun(context, run, counts, signal));
  }
  await attempt("work", () => sweepWork(context, counts, signal));
  const vms: ProtectedVm[] = [];
  for await (const { value } of listAll(context.catalog.vms, {}, signal)) vms.push(value);
  for (const vm of shuffled(context, vms).slice(0, input.sweep === "all" ? vms.length : vmsPerTick)) {
    await attempt(`VM ${vm.name}`, () => sweepVm(context, vm, counts, signal));
  }
  return counts;
}

function shuffled<T>(context: Context, items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, place: fraction(context.random) }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
