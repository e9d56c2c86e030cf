import { runEvents } from "../../core/run-events.ts";
import type { RunId } from "../../core/ids.ts";
import type { VmInspection } from "../../ports/disk-source.ts";
import type { Context } from "../context.ts";
import { recordEvent } from "../run/record-event.ts";

/** Tells which disks are left out, and which rules match none: disks come and go, and a rule may have been mistyped. */
export async function recordSelection(
  context: Context,
  runId: RunId,
  { leftDisks = [], idleRules = [] }: VmInspection,
  signal: AbortSignal,
): Promise<void> {
  if (leftDisks.length > 0) {
    const names = leftDisks.map(({ name, reason }) => `${name} (${reason})`).join(", ");
    const message = `Left out, and not in the restore point: ${names}.`;
    const facts = { runId, name: runEvents.disksLeft, message, fields: { disks: leftDisks.length } };
    await recordEvent(context, facts, signal);
  }
  if (idleRules.length > 0) {
    const message = `No disk is matched by ${idleRules.join(", ")}: correct the rule, or take it away, unless its disk comes back.`;
    await recordEvent(context, { runId, name: runEvents.diskRuleIdle, message, level: "warning" }, signal);
  }
}
