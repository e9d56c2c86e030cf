/** beginGetAccess and endGetAccess: of disks, snapshots and disk restore points. */
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { accept } from "../arm.ts";
import { ServiceError } from "../service-error.ts";
import type { Access, Grant } from "../data/grants.ts";
import { isPending } from "../disks/background-copy.ts";
import { guestStateId, requireGuestState } from "../disks/guest-state.ts";
import { checkFileFormat } from "../disks/sector-size.ts";
import { asText, type Json, propertiesOf, type Resource } from "../resources.ts";
import { attachedTo, invalid } from "./disks.ts";

const compute = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute";
const shared = [
  `${compute}/disks/{diskName}`,
  `${compute}/snapshots/{snapshotName}`,
  `${compute}/restorePointCollections/{restorePointCollectionName}/restorePoints/{vmRestorePointName}/diskRestorePoints/{diskRestorePointName}`,
];

export const accessRoutes: readonly Route[] = shared.flatMap((template): readonly Route[] => [
  { method: "POST", template: `${template}/beginGetAccess`, handle: beginAccess },
  { method: "POST", template: `${template}/endGetAccess`, handle: endAccess },
]);

/** 60 days, the longest since February 2025. */
const longestSeconds = 5_184_000;

function beginAccess(arm: Arm, { id, body }: ArmCall): Reply {
  const resource = arm.resources.require(id);
  const access = accessOf(body["access"]);
  const seconds = body["durationInSeconds"];
  if (typeof seconds !== "number" || !(seconds > 0 && seconds <= longestSeconds)) {
    throw invalid(`durationInSeconds ${String(seconds)} is not between 1 and ${longestSeconds}.`);
  }
  refuseAccess(arm, resource, access);
  checkFileFormat(body["fileFormat"]);
  const withGuestState = body["getSecureVMGuestStateSAS"] === true;
  if (withGuestState) requireGuestState(resource);
  const finish = (): Json => {
    const { familyId, incrementalSnapshotFamilyId } = propertiesOf(resource);
    const family = asText(incrementalSnapshotFamilyId) ?? asText(familyId);
    const expiresAt = arm.now() + seconds * 1000;
    const accessSAS = sasOf(arm, { resourceId: resource.id, access, familyId: family, expiresAt });
    if (access === "Write") arm.resources.change(id, { diskState: "ActiveUpload" });
    if (!withGuestState) return { accessSAS };
    const guestState = { resourceId: guestStateId(resource.id), access, familyId: undefined, expiresAt };
    return { accessSAS, securityDataAccessSAS: sasOf(arm, guestState) };
  };
  return accept(arm, { name: "access/begin", finish });
}

function sasOf(arm: Arm, asked: Omit<Grant, "name" | "signature">): string {
  const grant = arm.grants.begin(asked, arm.now());
  const letters = asked.access === "Read" ? "r" : "rw";
  const query = `sv=2018-03-28&sr=b&sp=${letters}&se=${encodeURIComponent(new Date(grant.expiresAt).toISOString())}&sig=${grant.signature}`;
  return `${arm.dataUrl()}/${grant.name}/abcd?${query}`;
}

function accessOf(value: unknown): Access {
  if (value === "Read" || value === "Write") return value;
  throw invalid(`access ${String(value)} is neither Read nor Write.`);
}

function refuseAccess(arm: Arm, resource: Resource, access: Access): void {
  const { networkAccessPolicy, diskState, provisioningState } = propertiesOf(resource);
  const refuse = (message: string): never => {
    throw new ServiceError(409, "OperationNotAllowed", message);
  };
  if (networkAccessPolicy === "DenyAll")
    refuse(`${resource.id} cannot be exported: its networkAccessPolicy is DenyAll.`);
  if (provisioningState === "Failed") refuse(`${resource.id} was not made: its provisioning has failed.`);
  if (isPending(resource)) refuse(`${resource.id} is still being copied in the background.`);
  const uploads = diskState === "ReadyToUpload" || diskState === "ActiveUpload";
  if (access === "Write" && !uploads) refuse(`${resource.id} was not made for upload.`);
  if (access === "Read" && uploads) refuse(`${resource.id} is being uploaded.`);
  const owner = attachedTo(arm, resource.id);
  const power = owner === undefined ? undefined : propertiesOf(owner)["powerState"];
  if (owner !== undefined && power !== "deallocated")
    refuse(`${resource.id} is attached to the running VM ${owner.id}.`);
}

function endAccess(arm: Arm, { id }: ArmCall): Reply {
  const resource = arm.resources.require(id);
  const finish = (): undefined => {
    arm.grants.end(resource.id);
    arm.grants.end(guestStateId(resource.id));
    if (propertiesOf(resource)["diskState"] === "ActiveUpload") arm.resources.change(id, { diskState: "Unattached" });
    return undefined;
  };
  return accept(arm, { name: "access/end", finish });
}
