/**
 * The timer triggers. A timer only computes what is due and sends messages, so that firing twice, late or not at all does no
 * harm: the next tick sees all that is due since the last one that worked.
 */
import type { TimerHandler } from "@azure/functions";
import { discoverVms } from "../../shared/operations/discover-vms.ts";
import { reconcile } from "../../shared/operations/reconcile.ts";
import { scheduleBackups } from "../../shared/operations/schedule-backups.ts";
import type { App } from "../../shared/compose/app.ts";
import { withStepDeadline } from "../deadline.ts";

export function scheduleTick(app: App): TimerHandler {
  return async () => {
    await withStepDeadline(app, async (context, signal) => {
      const outcome = await scheduleBackups(context, {}, signal);
      if (outcome.policiesDue > 0) context.log.log("info", "schedule-tick", { ...outcome });
    });
  };
}

/** Where no scope is configured there is nothing to look at. */
export function discoveryTick(app: App): TimerHandler {
  return async () => {
    await withStepDeadline(app, async (context, signal) => {
      if (context.discovery.scopes.length === 0) return;
      const { scopes, findings, unchanged, left } = await discoverVms(context, {}, signal);
      const failed = scopes.filter(({ isComplete }) => !isComplete).length;
      context.log.log("info", "discovery-tick", { failed, findings: findings.length, unchanged, left });
    });
  };
}

export function reconcileTick(app: App): TimerHandler {
  return async () => {
    await withStepDeadline(app, async (context, signal) => {
      const outcome = await reconcile(context, {}, signal);
      const acted = Object.entries(outcome).some(([name, count]) => name !== "runsSeen" && count > 0);
      if (acted) context.log.log("info", "reconcile-tick", { ...outcome });
    });
  };
}
