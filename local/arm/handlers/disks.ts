/** Managed disks: empty, for upload, from a snapshot, from a disk restore point. */
import { randomUUID } from "node:crypto";
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { accept, acceptRemoval, ok, page, refuseStanding } from "../arm.ts";
import { ServiceError } from "../service-error.ts";
import { diskBytes, footerBytes, grownBytes, newDiskBytes } from "../disks/disk-bytes.ts";
import type { Bytes } from "../disks/disk-store.ts";
import { failPending, isPending } from "../disks/background-copy.ts";
import { bornGuestState, emptyGuestState, isTrustedLaunch } from "../disks/guest-state.ts";
import { checkSectorSize } from "../disks/sector-size.ts";
import { asList, asObject, asText, type Json, propertiesOf, type Resource } from "../resources.ts";

const type = "Microsoft.Compute/disks";
const inGroup = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute/disks";

export const diskRoutes: readonly Route[] = [
  { method: "PUT", template: `${inGroup}/{diskName}`, handle: putDisk },
  {
    method: "GET",
    template: `${inGroup}/{diskName}`,
    handle: (arm, call) => ok(shown(arm, arm.resources.require(call.id))),
  },
  { method: "PATCH", template: `${inGroup}/{diskName}`, handle: updateDisk },
  { method: "DELETE", template: `${inGroup}/{diskName}`, handle: deleteDisk },
  { method: "GET", template: inGroup, handle: listDisks },
  { method: "GET", template: "/subscriptions/{subscriptionId}/providers/Microsoft.Compute/disks", handle: listDisks },
];

function listDisks(arm: Arm, call: ArmCall): Reply {
  const scope = call.id.slice(0, call.id.toLowerCase().indexOf("/providers/"));
  const bodies = arm.resources.below(scope, type).map((disk) => shown(arm, disk));
  return page(call, bodies, 100, call.id);
}

/** With the VM that it is attached to. */
function shown(arm: Arm, disk: Resource): Json {
  const owner = attachedTo(arm, disk.id);
  if (owner === undefined) return disk.body;
  const diskState = propertiesOf(owner)["powerState"] === "deallocated" ? "Reserved" : "Attached";
  return { ...disk.body, managedBy: owner.id, properties: { ...propertiesOf(disk), diskState } };
}

async function putDisk(arm: Arm, call: ArmCall): Promise<Reply> {
  const { id, body } = call;
  const properties = asObject(body["properties"]);
  refuseStanding(arm, call);
  if (arm.resources.get(id) !== undefined) return updateDisk(arm, call);
  checkSectorSize(body);
  checkNetworkAccess(properties);
  const made = await contentOf(arm, asObject(properties["creationData"]), properties);
  // Another request may have made it meanwhile.
  refuseStanding(arm, call);
  const unique = {
    uniqueId: randomUUID(),
    timeCreated: new Date(arm.now()).toISOString(),
    diskSizeBytes: diskBytes(made.bytes),
    diskSizeGB: Math.ceil(diskBytes(made.bytes) / 1024 ** 3),
    diskState: made.state,
  };
  const resource: Resource = {
    id,
    type,
    bytes: made.bytes,
    ...(made.guestState === undefined ? {} : { guestState: made.guestState }),
    body: {
      ...body,
      id,
      name: call.params["diskName"],
      type,
      properties: {
        networkAccessPolicy: "AllowAll",
        ...made.inherited,
        ...properties,
        ...unique,
        provisioningState: "Creating",
      },
    },
  };
  arm.resources.put(resource);
  const finish = (): Json => arm.resources.change(id, { provisioningState: "Succeeded" }).body;
  const onFailure = (): void => void arm.resources.change(id, { provisioningState: "Failed" });
  return accept(arm, { name: "disks/write", finish, onFailure }, { status: 202, first: resource.body });
}

/** The bounds of `uploadSizeBytes`: 20 MiB and 32 TiB (less one GiB), and the footer. */
const uploadBounds = { least: 20 * 1024 ** 2 + footerBytes, most: 35_183_298_347_520 };

interface Content {
  readonly bytes: Bytes;
  readonly guestState?: Bytes;
  readonly state: string;
  /** Properties that a copy has from its source. */
  readonly inherited?: Json;
}

async function contentOf(arm: Arm, creation: Json, properties: Json): Promise<Content> {
  const trusted = isTrustedLaunch(properties);
  const guestState = async () => (trusted ? { guestState: await bornGuestState(arm.store, arm.now()) } : {});
  switch (creation["createOption"]) {
    case "Empty": {
      const bytes = await newDiskBytes(arm.store, sizeOf(properties["diskSizeGB"]), arm.now());
      return { bytes, ...(await guestState()), state: "Unattached" };
    }
    case "Upload":
      return { bytes: arm.store.create(uploadSize(creation)), ...(await guestState()), state: "ReadyToUpload" };
    case "UploadPreparedSecure": {
      if (!trusted)
        throw invalid("createOption UploadPreparedSecure needs securityProfile.securityType TrustedLaunch.");
      const empty = await emptyGuestState(arm.store, arm.now());
      return { bytes: arm.store.create(uploadSize(creation)), guestState: empty, state: "ReadyToUpload" };
    }
    case "Copy":
    case "Restore":
      return copied(arm, asText(creation["sourceResourceId"]) ?? "");
    default:
      throw invalid(`createOption ${String(creation["createOption"])} is not one that this region knows.`);
  }
}

function uploadSize(creation: Json): number {
  const size = Number(creation["uploadSizeBytes"]);
  if (size >= uploadBounds.least && size <= uploadBounds.most && size % 512 === 0) return size;
  throw invalid(`uploadSizeBytes ${size} is not within ${uploadBounds.least} and ${uploadBounds.most}.`);
}

function copied(arm: Arm, sourceId: string): Content {
  const source = arm.resources.require(sourceId);
  if (source.bytes === undefined) throw invalid(`${source.id} is no disk, snapshot or disk restore point.`);
  if (isPending(source)) {
    throw new ServiceError(409, "OperationNotAllowed", `${source.id} is still being copied in the background.`);
  }
  const { osType, hyperVGeneration, securityProfile } = propertiesOf(source);
  const inherited = Object.entries({ osType, hyperVGeneration, securityProfile });
  const [bytes, guestState] = source.type === type ? stillOf(arm, source) : [source.bytes, source.guestState];
  if (bytes === undefined) throw invalid(`${source.id} has no bytes.`);
  return {
    bytes: arm.store.copyOf(bytes),
    ...(guestState === undefined ? {} : { guestState: arm.store.copyOf(guestState) }),
    state: "Unattached",
    inherited: Object.fromEntries(inherited.filter(([, value]) => value !== undefined)),
  };
}

/** A disk's bytes of this instant: what is written to it from now on is not in its copy. */
function stillOf(arm: Arm, disk: Resource): readonly [Bytes | undefined, Bytes | undefined] {
  const taken = disk.bytes === undefined ? undefined : arm.store.snapshot(disk.bytes);
  const state = disk.guestState === undefined ? undefined : arm.store.snapshot(disk.guestState);
  arm.resources.put({
    ...disk,
    ...(taken === undefined ? {} : { bytes: taken.disk }),
    ...(state === undefined ? {} : { guestState: state.disk }),
  });
  return [taken?.snapshot, state?.snapshot];
}

function sizeOf(diskSizeGB: unknown): number {
  if (typeof diskSizeGB === "number" && Number.isInteger(diskSizeGB) && diskSizeGB > 0) return diskSizeGB * 1024 ** 3;
  throw invalid(`diskSizeGB ${String(diskSizeGB)} is not a whole number of GiB.`);
}

async function updateDisk(arm: Arm, { id, body }: ArmCall): Promise<Reply> {
  const before = arm.resources.require(id);
  if (propertiesOf(before)["provisioningState"] === "Deleting") {
    throw new ServiceError(409, "OperationNotAllowed", `The disk ${id} is being deleted.`);
  }
  const wanted = asObject(body["properties"])["diskSizeGB"];
  if (wanted !== undefined) await growDisk(arm, before, sizeOf(wanted));
  const finish = (): Json => {
    const now = arm.resources.require(id);
    const tags = body["tags"] === undefined ? {} : { tags: body["tags"] };
    const changed = arm.resources.put({ ...now, body: { ...now.body, ...tags } });
    if (propertiesOf(changed)["provisioningState"] === "Deleting") return changed.body;
    return arm.resources.change(id, { provisioningState: "Succeeded" }).body;
  };
  const changing = arm.resources.change(id, { provisioningState: "Updating" });
  const onFailure = (): void => void arm.resources.change(id, { provisioningState: "Failed" });
  return accept(arm, { name: "disks/write", finish, onFailure }, { status: 202, first: changing.body });
}

async function growDisk(arm: Arm, disk: Resource, sizeBytes: number): Promise<void> {
  if (disk.bytes === undefined || sizeBytes === diskBytes(disk.bytes)) return;
  if (sizeBytes < diskBytes(disk.bytes)) throw invalid("A disk never becomes smaller.");
  failPending(arm.resources, disk);
  arm.resources.put({ ...disk, bytes: await grownBytes(arm.store, disk.bytes, sizeBytes, arm.now()) });
  arm.resources.change(disk.id, { diskSizeBytes: sizeBytes, diskSizeGB: sizeBytes / 1024 ** 3 });
}

function deleteDisk(arm: Arm, { id }: ArmCall): Reply {
  const disk = arm.resources.get(id);
  if (disk === undefined) return { kind: "done", status: 204 };
  const owner = attachedTo(arm, id);
  if (owner !== undefined) {
    throw new ServiceError(409, "OperationNotAllowed", `Disk ${id} is attached to VM ${owner.id}.`);
  }
  refuseShared(arm, id);
  return acceptRemoval(arm, "disks/delete", disk);
}

/** The VM that a disk is attached to. */
export function attachedTo(arm: Arm, diskId: string): Resource | undefined {
  return arm.resources
    .all()
    .find((vm) => vm.type === "Microsoft.Compute/virtualMachines" && disksOf(vm).includes(diskId.toLowerCase()));
}

/** Ids of the OS disk and the data disks, in lower case. */
export function disksOf(vm: Resource): readonly string[] {
  const profile = asObject(propertiesOf(vm)["storageProfile"]);
  return [asObject(profile["osDisk"]), ...asList(profile["dataDisks"])].flatMap((disk) => {
    const id = asText(asObject(disk["managedDisk"])["id"]);
    return id === undefined ? [] : [id.toLowerCase()];
  });
}

/** What has a SAS cannot be deleted. */
export function refuseShared(arm: Arm, id: string): void {
  const grant = arm.grants.of(id);
  if (grant === undefined || grant.expiresAt <= arm.now()) return;
  const text = `There is an active shared access signature outstanding for ${id}. Call EndGetAccess before deleting.`;
  throw new ServiceError(409, "OperationNotAllowed", text);
}

/** Of disks and snapshots: private access is by a disk access resource. */
export function checkNetworkAccess({ networkAccessPolicy, diskAccessId }: Json): void {
  const isPrivate = networkAccessPolicy === "AllowPrivate";
  if (isPrivate === (diskAccessId !== undefined)) return;
  throw invalid("diskAccessId is given with networkAccessPolicy AllowPrivate, and with no other.");
}

export function invalid(message: string): ServiceError {
  return new ServiceError(400, "InvalidParameter", message);
}
