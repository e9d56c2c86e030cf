/**
 * Crash-point sweep: does one piece of work once per port call, kills the process before and then after that call, lets the rest of the
 * system carry on, and asks what must hold.
 */
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
  readonly deaths: number;
  /** In words: where it died, and what was wrong then. */
  readonly breaches: readonly string[];
}

export async function crashSweep(scenario: Scenario): Promise<SweepReport> {
  const undisturbed = new Process();
  await scenario.act(await scenario.prepare(), undisturbed);
  const found: string[] = [];
  let deaths = 0;
  for (let call = 0; call < undisturbed.calls.length; call++) {
    for (const phase of ["before", "after"] as const) {
      const process = new Process({ kind: "dies", phase, call });
      const where = `died ${phase} call ${call} (${undisturbed.calls[call]})`;
      const world = await scenario.prepare();
      try {
        await scenario.act(world, process);
      } catch (error) {
        if (!(error instanceof Death)) found.push(`${where}: ${String(error)}`);
      }
      if (process.dead) deaths++;
      else found.push(`${where}: the death was never reached`);
      try {
        await world.settle();
        found.push(...(await breaches(world)).map((breach) => `${where}: ${breach}`));
        await scenario.expect(world);
      } catch (error) {
        found.push(`${where}: ${String(error)}`);
      }
    }
  }
  return { calls: undisturbed.calls, deaths, breaches: found };
}
