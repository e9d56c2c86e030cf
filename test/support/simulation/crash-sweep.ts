/**
 * Crash-point sweep: does one piece of work once per port call, kills the process before and then after that call, lets the rest of the
 * system carry on, and asks what must hold. With `fails`, only that one call fails, and the process handles it as it can. With `refused`, it
 * fails for good: the run may end in any way, and must leave nothing.
 */
import { FarsideError } from "../../../shared/core/errors.ts";
import { Death, Process } from "./process.ts";
import { breaches } from "./invariants.ts";
import type { World } from "./world.ts";

export interface Scenario {
  /** The world as it is before the work. The same each time. */
  readonly prepare: () => Promise<World>;
  /** The work, done by one process. May fail or die; nothing may be left running. */
  readonly act: (world: World, process: Process) => Promise<unknown>;
  /** What must be true after everything has come to rest, besides the invariants. Throws where it is not. */
  readonly expect: (world: World) => Promise<void>;
}

export interface SweepReport {
  /** Port calls that the work makes when nothing happens. */
  readonly calls: readonly string[];
  /** How often what was to happen did happen. */
  readonly struck: number;
  /** In words: where it died, and what was wrong then. */
  readonly breaches: readonly string[];
}

/** After a call that only reads nothing is different from before it: one of the two is enough. */
function phasesOf(call: string): readonly ("before" | "after")[] {
  const reads =
    /\.(get|find|list|listFolders|read|head|inspect|listSnapshots|snapshotExists|allocatedRanges|changedRanges|state|isTaken)$/;
  return reads.test(call) ? ["before"] : ["before", "after"];
}

/** How often a sweep over these calls strikes. */
export function strikes(calls: readonly string[]): number {
  return calls.flatMap(phasesOf).length;
}

/**
 * Disks are planned side by side, and draw their samples from one source of chance: a run may take a call or two fewer than the
 * undisturbed one. The last calls are struck in one of so many tries.
 */
const tries = 5;

export async function crashSweep(
  scenario: Scenario,
  kind: "dies" | "fails" | "refused" = "dies",
): Promise<SweepReport> {
  const undisturbed = new Process();
  await scenario.act(await scenario.prepare(), undisturbed);
  const found: string[] = [];
  let struck = 0;
  for (let call = 0; call < undisturbed.calls.length; call++) {
    for (const phase of phasesOf(undisturbed.calls[call] ?? "")) {
      const where = `${kind} ${phase} call ${call} (${undisturbed.calls[call]})`;
      let hit = false;
      for (let left = tries; left > 0 && !hit; left--) {
        const process = new Process({ kind, phase, call });
        found.push(...(await strike(scenario, process, kind)).map((what) => `${where}: ${what}`));
        hit = process.struck;
      }
      if (hit) struck++;
      else found.push(`${where}: it was never reached`);
    }
  }
  return { calls: undisturbed.calls, struck, breaches: found };
}

/** One life with one blow: what was wrong in the end. */
async function strike(scenario: Scenario, process: Process, kind: "dies" | "fails" | "refused"): Promise<string[]> {
  const found: string[] = [];
  const world = await scenario.prepare();
  try {
    await scenario.act(world, process);
  } catch (error) {
    // A caller over HTTP is told, and may ask again: `expect` does.
    if (!(error instanceof Death) && !(kind !== "dies" && error instanceof FarsideError)) found.push(String(error));
  }
  try {
    await world.settle();
    found.push(...(await breaches(world)));
    if (kind !== "refused") await scenario.expect(world);
  } catch (error) {
    found.push(String(error));
  }
  return found;
}
