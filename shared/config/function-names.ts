/** Every function of the app by name: what a deployment must show. */
import type { TaskKind } from "../core/task.ts";
import { taskKinds } from "../core/task.ts";
import { routes } from "../wire/http/routes.ts";

const timerNames = ["schedule-backups", "reconcile", "discover-vms"] as const;

/** The host moves a message there after its last delivery. */
export const poisonQueueOf = (kind: TaskKind): string => `${kind}-poison`;

export const functionNames: readonly string[] = [
  ...timerNames,
  ...taskKinds,
  ...taskKinds.map(poisonQueueOf),
  ...Object.values(routes).map((route) => route.name),
];
