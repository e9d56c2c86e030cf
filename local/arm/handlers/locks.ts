/**
 * Locks of resources, resource groups and subscriptions ("Lock your resources to protect your infrastructure"). What is below a locked scope is
 * locked, too. Locks concern requests to ARM alone: a SAS goes on, and a disk is written.
 */
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { ok, page } from "../arm.ts";
import { ServiceError } from "../service-error.ts";
import { asObject, propertiesOf } from "../resources.ts";
import { invalid } from "./disks.ts";

const type = "Microsoft.Authorization/locks";
const locks = "/{scope}/providers/Microsoft.Authorization/locks";

export const lockRoutes: readonly Route[] = [
  { method: "PUT", template: `${locks}/{lockName}`, handle: putLock },
  { method: "GET", template: `${locks}/{lockName}`, handle: (arm, call) => ok(arm.resources.require(call.id).body) },
  { method: "DELETE", template: `${locks}/{lockName}`, handle: deleteLock },
  { method: "GET", template: locks, handle: listLocks },
];

function putLock(arm: Arm, { id, body, params }: ArmCall): Reply {
  const { level } = asObject(body["properties"]);
  if (level !== "CanNotDelete" && level !== "ReadOnly") throw invalid("level is CanNotDelete or ReadOnly.");
  const before = arm.resources.get(id);
  const made = arm.resources.put({ id, type, body: { ...body, id, name: params["lockName"], type } });
  return { kind: "done", status: before === undefined ? 201 : 200, body: made.body };
}

function deleteLock(arm: Arm, { id }: ArmCall): Reply {
  if (arm.resources.get(id) === undefined) return { kind: "done", status: 204 };
  arm.resources.remove(id);
  return { kind: "done", status: 200 };
}

/** Those at the scope and below it. */
function listLocks(arm: Arm, call: ArmCall): Reply {
  const scope = scopeOf(call.id);
  const found = arm.resources.below(scope, type).map(({ body }) => body);
  return page(call, found, 100, call.id);
}

/** Throws ScopeLocked (409) for what a lock at the resource or above it does not allow. */
export function refuseLocked(arm: Arm, method: string, path: string): void {
  if (method === "GET" || path.toLowerCase().includes(`/providers/${type.toLowerCase()}`)) return;
  const locked = arm.resources.all().filter((one) => {
    if (one.type !== type) return false;
    const forbids = method === "DELETE" || propertiesOf(one)["level"] === "ReadOnly";
    return forbids && `${path.toLowerCase()}/`.startsWith(`${scopeOf(one.id).toLowerCase()}/`);
  });
  if (locked.length === 0) return;
  const scopes = locked.map(({ id }) => `'${scopeOf(id)}'`).join(",");
  const what = method === "DELETE" ? "delete" : "write";
  const text = `The scope '${path}' cannot perform ${what} operation because following scope(s) are locked: ${scopes}. Please remove the lock and try again.`;
  throw new ServiceError(409, "ScopeLocked", text);
}

function scopeOf(lockId: string): string {
  return lockId.slice(0, lockId.toLowerCase().lastIndexOf(`/providers/${type.toLowerCase()}`));
}
