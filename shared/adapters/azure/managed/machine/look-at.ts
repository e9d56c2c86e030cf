/** Resources as they are now, for decisions of a restore. */
import { z } from "zod";
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { RunId } from "../../../../core/ids.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { apiVersions } from "../arm-connection.ts";
import { parseModel } from "../arm-models.ts";
import { capturedDisk, capturedVm } from "./captured-machine.ts";
import { nameOf } from "./names.ts";
import { isOwn, tagOf, ownTags } from "./own-tags.ts";

export const diskQuery = { "api-version": apiVersions.disk };
export const vmQuery = { "api-version": apiVersions.compute };
export const networkQuery = { "api-version": apiVersions.network };

const seenDisk = capturedDisk.extend({
  managedBy: z.string().optional(),
  properties: capturedDisk.shape.properties.extend({
    provisioningState: z.string().optional(),
    diskState: z.string().optional(),
  }),
});
export type SeenDisk = z.output<typeof seenDisk>;

const seenVm = capturedVm.extend({
  etag: z.string().optional(),
  properties: capturedVm.shape.properties.extend({
    provisioningState: z.string().optional(),
    instanceView: z.object({ statuses: z.array(z.object({ code: z.string() })).optional() }).optional(),
  }),
});
export type SeenVm = z.output<typeof seenVm>;

export const seenAny = z.object({
  id: z.string(),
  tags: z.record(z.string(), z.string()).optional(),
  properties: z.object({ provisioningState: z.string().optional() }).optional(),
});
export type SeenAny = z.output<typeof seenAny>;

/** Undefined only where ARM said that it is not there. */
export async function seeDisk(arm: ArmConnection, id: string, signal: AbortSignal): Promise<SeenDisk | undefined> {
  const what = `the disk ${nameOf(id)}`;
  const raw = await getIfThere(arm, id, diskQuery, `look at ${what}`, signal);
  return raw === undefined ? undefined : parseModel(seenDisk, raw, what);
}

/** With its power state. */
export async function seeVm(arm: ArmConnection, id: string, signal: AbortSignal): Promise<SeenVm | undefined> {
  const what = `the VM ${nameOf(id)}`;
  const raw = await getIfThere(arm, id, { ...vmQuery, $expand: "instanceView" }, `look at ${what}`, signal);
  return raw === undefined ? undefined : parseModel(seenVm, raw, what);
}

export async function seeAny(
  arm: ArmConnection,
  id: string,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<SeenAny | undefined> {
  const raw = await getIfThere(arm, id, query, `look at ${nameOf(id)}`, signal);
  return raw === undefined ? undefined : parseModel(seenAny, raw, nameOf(id));
}

export async function getIfThere(
  arm: ArmConnection,
  id: string,
  query: Readonly<Record<string, string>>,
  doing: string,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    return await arm.get(id, query, doing, signal);
  } catch (error) {
    if (hasCode(error, "not-found")) return undefined;
    throw error;
  }
}

export type PowerSeen = "running" | "deallocated" | "stopped" | "changing";

export function powerOf({ properties }: SeenVm): PowerSeen {
  const codes = (properties.instanceView?.statuses ?? []).map(({ code }) => code.toLowerCase());
  const power = codes.find((code) => code.startsWith("powerstate/"))?.slice("powerstate/".length);
  return power === "running" || power === "deallocated" || power === "stopped" ? power : "changing";
}

/** Of a resource that is being made, changed or removed just now. */
export function isChanging(seen: {
  readonly properties?: { readonly provisioningState?: string | undefined } | undefined;
}): boolean {
  const state = seen.properties?.provisioningState;
  return state !== undefined && !/^(?:succeeded|failed|cancell?ed)$/i.test(state);
}

export function hasBeenMade(seen: {
  readonly properties?: { readonly provisioningState?: string | undefined } | undefined;
}): boolean {
  return /^succeeded$/i.test(seen.properties?.provisioningState ?? "succeeded");
}

/** Throws `target-exists` for what is not this run's. */
export function requireOwn(seen: SeenAny, runId: RunId, what: string): void {
  if (isOwn(seen.tags, runId)) return;
  const other = tagOf(seen.tags, ownTags.run);
  const whose = other === undefined ? "is not of this restore" : `is of the restore ${other}`;
  throw new FarsideError(
    "target-exists",
    `${what} ${nameOf(seen.id)} exists already, and ${whose}: it is not touched. Remove it, or restore with another name (of disks --name-prefix, of a VM and its interfaces --to-vm) or to another resource group.`,
    { details: { id: seen.id } },
  );
}
