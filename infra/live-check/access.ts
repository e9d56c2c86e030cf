/** A SAS of a disk, a snapshot or a disk restore point, whichever an id names. Unlike a function of the app, this waits for the platform. */
import type { AccessUri, ComputeManagementClient, GrantAccessData } from "@azure/arm-compute";
import { requireParts } from "../../shared/adapters/azure/managed/arm-connection.ts";

const lastsSeconds = 3600;

export async function grantAccess(
  client: ComputeManagementClient,
  id: string,
  asked: Partial<GrantAccessData>,
  abortSignal: AbortSignal,
): Promise<AccessUri> {
  const data: GrantAccessData = { access: "Read", durationInSeconds: lastsSeconds, ...asked };
  const { group, kind, one, two, three } = placeOf(id);
  const options = { abortSignal };
  switch (kind) {
    case "point":
      return client.diskRestorePoint.grantAccess(group, one, two, three, data, options).pollUntilDone(options);
    case "disk":
      return client.disks.grantAccess(group, one, data, options).pollUntilDone(options);
    case "snapshot":
      return client.snapshots.grantAccess(group, one, data, options).pollUntilDone(options);
    default:
      return kind satisfies never;
  }
}

export async function revokeAccess(
  client: ComputeManagementClient,
  id: string,
  abortSignal: AbortSignal,
): Promise<void> {
  const { group, kind, one, two, three } = placeOf(id);
  const options = { abortSignal };
  switch (kind) {
    case "point":
      return client.diskRestorePoint.revokeAccess(group, one, two, three, options).pollUntilDone(options);
    case "disk":
      return client.disks.revokeAccess(group, one, options).pollUntilDone(options);
    case "snapshot":
      return client.snapshots.revokeAccess(group, one, options).pollUntilDone(options);
    default:
      kind satisfies never;
  }
}

function placeOf(id: string) {
  const { resourceGroup: group, path } = requireParts(id);
  const [one = "", two = "", three = ""] = path.map(([, name]) => name);
  const isDisk = path[0]?.[0].toLowerCase() === "disks";
  const kind = path.length === 3 ? ("point" as const) : isDisk ? ("disk" as const) : ("snapshot" as const);
  return { group, kind, one, two, three };
}
