import { FarsideError } from "../../shared/core/errors.ts";
import type { RestoreTarget } from "../../shared/core/run.ts";
import { timestamp } from "../../shared/core/timestamp.ts";
import { getRestorePoint, listRestorePoints } from "../../shared/operations/manage/list-restore-points.ts";
import type { PointChoice } from "../../shared/operations/request-restore.ts";
import { requestRestore } from "../../shared/operations/request-restore.ts";
import { choosePoint } from "../../shared/operations/restore/choose-point.ts";
import type { DiskChoice } from "../../shared/operations/restore/choose-restore.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import { readConfiguration } from "../../shared/operations/vault/read-configuration.ts";
import { restorePointView } from "../../shared/wire/http/restore-point.ts";
import type { RestoreBody } from "../../shared/wire/http/restore.ts";
import { routes } from "../../shared/wire/http/routes.ts";
import { runView } from "../../shared/wire/http/run.ts";
import { endpoint } from "./handler.ts";

export const restorePointEndpoints = [
  endpoint(routes.listRestorePoints, async (app, { params, query }, signal) => {
    const page = await listRestorePoints(await app.context(), { ...query, vm: params.vm }, signal);
    return { status: 200, body: { ...page, items: page.items.map(restorePointView) } };
  }),
  endpoint(routes.getRestorePoint, async (app, { params }, signal) => {
    const point = await getRestorePoint(await app.context(), { vm: params.vm, pointId: params.point }, signal);
    return { status: 200, body: restorePointView(point) };
  }),
  endpoint(routes.getConfiguration, async (app, { params }, signal) => {
    const vault = await (await app.context()).vault(signal);
    const vmId = await findVm(vault, params.vm, signal);
    const manifest = await choosePoint(vault, vmId, { kind: "point", pointId: params.point }, signal);
    return { status: 200, body: { ...(await readConfiguration(vault, manifest, signal)) } };
  }),
  endpoint(routes.requestRestore, async (app, { params, body, idempotencyKey }, signal) => {
    const { run } = await requestRestore(
      await app.context(),
      {
        vm: params.vm,
        point: choiceOf(body),
        ...(body.disks === undefined ? {} : { disks: body.disks.map(diskOf) }),
        target: targetOf(body.target),
        acceptMixedPoints: body.acceptMixedPoints,
        acceptUsnRollbackRisk: body.acceptUsnRollbackRisk,
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      },
      signal,
    );
    return { status: 202, body: runView(run), runId: run.runId };
  }),
];

function diskOf(disk: NonNullable<RestoreBody["disks"]>[number]): DiskChoice {
  if (typeof disk === "string") return { name: disk };
  const { name, restorePointId: pointId } = disk;
  return pointId === undefined ? { name } : { name, pointId };
}

function targetOf(target: RestoreBody["target"]): RestoreTarget {
  if (target.kind !== "container") return target;
  const { kind, url, overwrite } = target;
  return overwrite ? { kind, url, overwrite } : { kind, url };
}

function choiceOf({ restorePointId, at }: RestoreBody): PointChoice {
  if (restorePointId !== undefined && at !== undefined) {
    const message = "Give either restorePointId or at, not both.";
    throw new FarsideError("bad-input", message, { details: { errors: [{ path: "at", message }] } });
  }
  if (at !== undefined) return { kind: "at", at: timestamp(Date.parse(at)) };
  if (restorePointId === undefined || restorePointId === "latest") return { kind: "latest" };
  return { kind: "point", pointId: restorePointId };
}
