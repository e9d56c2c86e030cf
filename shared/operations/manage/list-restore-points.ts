import { FarsideError } from "../../core/errors.ts";
import type { PointId, VmId, VmName } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { RestorePoint } from "../../core/restore-point.ts";
import { vmIdOf } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { noSuchVm } from "./get-vm.ts";
import type { PageInput, PageOf } from "./list-page.ts";
import { listPage } from "./list-page.ts";

/** Newest first. Throws `not-found` for a VM that neither is protected nor has a restore point. */
export async function listRestorePoints(
  context: Context,
  input: PageInput & { readonly vm: VmName },
  signal: AbortSignal,
): Promise<PageOf<RestorePoint>> {
  const { vmId, known } = await vmIdNamed(context, input.vm, signal);
  const page = await listPage(context.catalog.restorePoints, { vmId }, input, signal);
  if (page.items.length === 0 && !known && input.continuation === undefined) throw noSuchVm(input.vm);
  return page;
}

/** Throws `not-found`. */
export async function getRestorePoint(
  context: Context,
  input: { readonly vm: VmName; readonly pointId: PointId },
  signal: AbortSignal,
): Promise<RestorePoint> {
  const { vmId } = await vmIdNamed(context, input.vm, signal);
  const stored = await context.catalog.restorePoints.get({ vmId, pointId: input.pointId }, signal);
  if (stored !== undefined) return stored.value;
  throw new FarsideError(
    "not-found",
    `The VM ${quote(input.vm)} has no restore point ${input.pointId}: see "farside point list ${input.vm}".`,
    { details: { vm: input.vm, restorePointId: input.pointId } },
  );
}

/** A VM that is no longer protected is found by the id that its name always had. */
async function vmIdNamed(
  context: Context,
  name: VmName,
  signal: AbortSignal,
): Promise<{ readonly vmId: VmId; readonly known: boolean }> {
  const stored = await context.catalog.vms.get(name, signal);
  return stored === undefined ? { vmId: vmIdOf(name), known: false } : { vmId: stored.value.vmId, known: true };
}
