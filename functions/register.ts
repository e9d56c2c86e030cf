/** Registers every function with the runtime. The names are lasting: settings, dashboards and timers refer to them. */
import { app as runtime } from "@azure/functions";
import { poisonQueueOf } from "../shared/config/function-names.ts";
import { taskKinds } from "../shared/core/task.ts";
import type { App } from "../shared/compose/app.ts";
import { discoveryEndpoints } from "./http/discovery.ts";
import { policyEndpoints } from "./http/policies.ts";
import { restorePointEndpoints } from "./http/restore-points.ts";
import { runEndpoints } from "./http/runs.ts";
import { serviceEndpoints } from "./http/service.ts";
import { vmEndpoints } from "./http/vms.ts";
import { poisonHandler, stepHandler } from "./queues/steps.ts";
import { discoveryTick, reconcileTick, scheduleTick } from "./timers/ticks.ts";

/** The Functions connection of the queues; the tables are in the same account. */
const connection = "FARSIDE_STATE";
const everyMinute = "0 * * * * *";
/** Tags change seldom, and every look lists all VMs. */
const everyQuarter = "0 */15 * * * *";

export const endpoints = [
  ...serviceEndpoints,
  ...discoveryEndpoints,
  ...policyEndpoints,
  ...vmEndpoints,
  ...restorePointEndpoints,
  ...runEndpoints,
];

export function registerFunctions(app: App): void {
  runtime.timer("schedule-backups", { schedule: everyMinute, handler: scheduleTick(app) });
  runtime.timer("reconcile", { schedule: everyMinute, handler: reconcileTick(app) });
  runtime.timer("discover-vms", { schedule: everyQuarter, handler: discoveryTick(app) });
  for (const kind of taskKinds) {
    runtime.storageQueue(kind, { queueName: kind, connection, handler: stepHandler(app) });
    const queueName = poisonQueueOf(kind);
    runtime.storageQueue(queueName, { queueName, connection, handler: poisonHandler(app, kind) });
  }
  for (const { route, handler } of endpoints) {
    runtime.http(route.name, {
      methods: [route.method],
      route: route.path,
      authLevel: route.access === "anonymous" ? "anonymous" : "function",
      handler: handler(app),
    });
  }
}
