/** VM restore points: all disks of a VM at one instant, in collections, with their documented limits. */
import { randomUUID } from "node:crypto";
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { accept, ok, page } from "../arm.ts";
import { isCopiedInBackground, refuseMorePending } from "../disks/background-copy.ts";
import { sectorSizeOf } from "../disks/sector-size.ts";
import { CreationRate } from "../creation-rate.ts";
import { ServiceError } from "../service-error.ts";
import { asList, asObject, asText, type Json, nameOf, propertiesOf, type Resource } from "../resources.ts";
import { disksOf, invalid, refuseShared } from "./disks.ts";
import { snapshotOf } from "./snapshots.ts";

const collectionType = "Microsoft.Compute/restorePointCollections";
const pointType = "Microsoft.Compute/restorePointCollections/restorePoints";
const diskPointType = "Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints";
const compute = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute";
const collection = `${compute}/restorePointCollections/{restorePointCollectionName}`;
const point = `${collection}/restorePoints/{restorePointName}`;
const diskPoints = `${collection}/restorePoints/{vmRestorePointName}/diskRestorePoints`;
const subscription = "/subscriptions/{subscriptionId}/providers/Microsoft.Compute/restorePointCollections";

export const restorePointRoutes: readonly Route[] = [
  { method: "PUT", template: collection, handle: putCollection },
  { method: "GET", template: collection, handle: getCollection },
  { method: "DELETE", template: collection, handle: deleteCollection },
  { method: "GET", template: `${compute}/restorePointCollections`, handle: listCollections },
  { method: "GET", template: subscription, handle: listCollections },
  { method: "PUT", template: point, handle: putPoint },
  { method: "GET", template: point, handle: getPoint },
  { method: "DELETE", template: point, handle: deletePoint },
  { method: "GET", template: diskPoints, handle: listDiskPoints },
  {
    method: "GET",
    template: `${diskPoints}/{diskRestorePointName}`,
    handle: (arm, call) => ok(arm.resources.require(call.id).body),
  },
];

/** Documented ("Virtual machine restore points"): over all its collections. */
const mostOfVm = 500;

function putCollection(arm: Arm, { id, body, params }: ArmCall): Reply {
  const source = arm.resources.require(asText(asObject(asObject(body["properties"])["source"])["id"]) ?? "");
  const before = arm.resources.get(id);
  const properties = {
    ...asObject(body["properties"]),
    source: { id: source.id, location: source.body["location"] },
    restorePointCollectionId: before === undefined ? randomUUID() : propertiesOf(before)["restorePointCollectionId"],
    provisioningState: "Succeeded",
  };
  const name = params["restorePointCollectionName"];
  const made = arm.resources.put({
    id,
    type: collectionType,
    body: { ...body, id, name, type: collectionType, properties },
  });
  return { kind: "done", status: before === undefined ? 201 : 200, body: made.body };
}

function getCollection(arm: Arm, { id, query }: ArmCall): Reply {
  const { body } = arm.resources.require(id);
  if (query.get("$expand") !== "restorePoints") return ok(body);
  const restorePoints = arm.resources.below(id, pointType).map((one) => one.body);
  return ok({ ...body, properties: { ...asObject(body["properties"]), restorePoints } });
}

function listCollections(arm: Arm, call: ArmCall): Reply {
  const scope = call.id.slice(0, call.id.toLowerCase().indexOf("/providers/"));
  return page(
    call,
    arm.resources.below(scope, collectionType).map(({ body }) => body),
    100,
    call.id,
  );
}

function deleteCollection(arm: Arm, { id }: ArmCall): Reply {
  if (arm.resources.get(id) === undefined) return { kind: "done", status: 204 };
  for (const shared of arm.resources.below(id, diskPointType)) refuseSharedPoint(arm, shared.id);
  const finish = (): undefined => {
    for (const type of [diskPointType, pointType]) {
      for (const one of arm.resources.below(id, type)) arm.resources.remove(one.id);
    }
    arm.resources.remove(id);
    return undefined;
  };
  return accept(arm, { name: "restorePointCollections/delete", finish });
}

function putPoint(arm: Arm, { id, body, params }: ArmCall): Reply {
  if (arm.resources.get(id) !== undefined) {
    throw new ServiceError(409, "Conflict", `The restore point ${id} exists already: restore points never change.`);
  }
  const wanted = asObject(body["properties"]);
  const mode = wanted["consistencyMode"];
  if (mode !== undefined && mode !== "CrashConsistent") {
    throw invalid(
      `consistencyMode ${JSON.stringify(mode)} is not accepted: CrashConsistent, or none for application consistency.`,
    );
  }
  const owner = arm.resources.require(id.slice(0, id.toLowerCase().indexOf("/restorepoints/")));
  const vm = arm.resources.require(asText(asObject(propertiesOf(owner)["source"])["id"]) ?? "");
  const crash = mode === "CrashConsistent";
  const excluded = new Set(asList(wanted["excludeDisks"]).map((disk) => String(disk["id"]).toLowerCase()));
  const disks = disksOf(vm)
    .filter((diskId) => !excluded.has(diskId))
    .map((diskId) => arm.resources.require(diskId));
  if (crash) refuseCrashMode(disks);
  for (const disk of disks) refuseMorePending(arm.resources, disk);
  refuseTooMany(arm, vm);
  const giveTurnBack = takeTurn(arm, vm, crash);
  const made = takePoint(arm, id, vm, disks, crash);
  const resource: Resource = {
    id,
    type: pointType,
    body: {
      id,
      name: params["restorePointName"],
      type: pointType,
      properties: { ...wanted, ...made, provisioningState: "Creating" },
    },
  };
  arm.resources.put(resource);
  const finish = (): Json => arm.resources.change(id, { provisioningState: "Succeeded" }).body;
  const onFailure = (): void => {
    giveTurnBack();
    arm.resources.change(id, { provisioningState: "Failed" });
  };
  return accept(arm, { name: "restorePoints/write", finish, onFailure }, { status: 201, first: resource.body });
}

/** Documented: no crash-consistent points of these disks; they can be excluded. */
function refuseCrashMode(disks: readonly Resource[]): void {
  const refused = disks.find(isCopiedInBackground);
  if (refused === undefined) return;
  const text = `Crash consistency is not supported for the Premium SSD v2 or Ultra disk ${refused.id}: exclude it.`;
  throw new ServiceError(409, "OperationNotAllowed", text);
}

/** One snapshot of every disk that is not excluded, between two events of this process: one instant. */
function takePoint(arm: Arm, id: string, vm: Resource, disks: readonly Resource[], crash: boolean): Json {
  const properties = propertiesOf(vm);
  const taken = new Map<string, string>();
  for (const disk of disks) {
    const { content, properties: known } = snapshotOf(arm, disk);
    const { incrementalSnapshotFamilyId, diskSizeGB: _, diskSizeBytes: __, ...rest } = known;
    const name = `${nameOf(disk.id)}_${randomUUID()}`;
    const diskPointId = `${id}/diskRestorePoints/${name}`;
    const facts = {
      ...rest,
      timeCreated: new Date(arm.now()).toISOString(),
      sourceResourceId: disk.id,
      sourceUniqueId: propertiesOf(disk)["uniqueId"],
      sourceResourceLocation: disk.body["location"],
      familyId: incrementalSnapshotFamilyId,
      networkAccessPolicy: propertiesOf(disk)["networkAccessPolicy"],
      logicalSectorSize: sectorSizeOf(disk),
    };
    arm.resources.put({
      id: diskPointId,
      type: diskPointType,
      ...content,
      body: { id: diskPointId, name, type: diskPointType, properties: facts },
    });
    taken.set(disk.id.toLowerCase(), diskPointId);
  }
  const profile = asObject(properties["storageProfile"]);
  const named = (disk: Json): Json => {
    const diskPointId = taken.get(String(asObject(disk["managedDisk"])["id"]).toLowerCase());
    return { ...told(disk), ...(diskPointId === undefined ? {} : { diskRestorePoint: { id: diskPointId } }) };
  };
  const dataDisks = asList(profile["dataDisks"])
    .map(named)
    .filter((disk) => disk["diskRestorePoint"] !== undefined);
  const metadata = {
    vmId: properties["vmId"],
    hardwareProfile: properties["hardwareProfile"],
    storageProfile: {
      osDisk: named(asObject(profile["osDisk"])),
      dataDisks,
      ...picked(profile, ["diskControllerType"]),
    },
    securityProfile: properties["securityProfile"],
    location: vm.body["location"],
  };
  return {
    sourceMetadata: Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined)),
    consistencyMode: crash ? "CrashConsistent" : achieved(properties),
    timeCreated: new Date(arm.now()).toISOString(),
  };
}

/** What a restore point tells of a disk of the VM's model: not how it was attached. */
function told(disk: Json): Json {
  const names = ["lun", "osType", "name", "caching", "diskSizeGB", "managedDisk", "writeAcceleratorEnabled"];
  return picked(disk, [...names, "encryptionSettings"]);
}

function picked(from: Json, names: readonly string[]): Json {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}

/** What the platform reads back where application consistency was asked for: of a Linux VM without scripts its file systems alone. */
function achieved(vm: Json): string {
  const osType = asObject(asObject(vm["storageProfile"])["osDisk"])["osType"];
  return osType === "Windows" ? "ApplicationConsistent" : "FileSystemConsistent";
}

function refuseTooMany(arm: Arm, vm: Resource): void {
  const ofVm = (one: Resource): boolean =>
    asObject(propertiesOf(one)["sourceMetadata"])["vmId"] === propertiesOf(vm)["vmId"];
  const points = arm.resources.all().filter((one) => one.type === pointType && ofVm(one));
  if (points.some((one) => propertiesOf(one)["provisioningState"] === "Creating")) {
    throw new ServiceError(409, "VMRestorePointClientError", "Another restore point of this VM is being created.");
  }
  if (points.length >= mostOfVm) {
    throw new ServiceError(409, "VMRestorePointClientError", `The VM has ${mostOfVm} restore points already.`);
  }
}

const rates = new WeakMap<Arm, CreationRate>();

function takeTurn(arm: Arm, vm: Resource, crash: boolean): () => void {
  const rate = rates.get(arm) ?? new CreationRate();
  rates.set(arm, rate);
  return rate.take(`${String(propertiesOf(vm)["vmId"])} ${crash ? "crash" : "application"}`, arm.now());
}

function getPoint(arm: Arm, { id, query }: ArmCall): Reply {
  const { body } = arm.resources.require(id);
  if (query.get("$expand") !== "instanceView") return ok(body);
  const status = { code: "ReplicationState/succeeded", level: "Info", displayStatus: "Succeeded" };
  const diskRestorePoints = arm.resources.below(id, diskPointType).map((one) => ({
    id: one.id,
    snapshotAccessState: propertiesOf(one)["snapshotAccessState"],
    replicationStatus: { status, completionPercent: propertiesOf(one)["completionPercent"] },
  }));
  const instanceView = { diskRestorePoints, statuses: [status] };
  return ok({ ...body, properties: { ...asObject(body["properties"]), instanceView } });
}

function listDiskPoints(arm: Arm, call: ArmCall): Reply {
  const pointId = call.id.slice(0, call.id.lastIndexOf("/"));
  arm.resources.require(pointId);
  return page(
    call,
    arm.resources.below(pointId, diskPointType).map(({ body }) => body),
    100,
    call.id,
  );
}

function deletePoint(arm: Arm, { id }: ArmCall): Reply {
  if (arm.resources.get(id) === undefined) return { kind: "done", status: 204 };
  for (const one of arm.resources.below(id, diskPointType)) refuseSharedPoint(arm, one.id);
  const finish = (): undefined => {
    for (const one of arm.resources.below(id, diskPointType)) arm.resources.remove(one.id);
    arm.resources.remove(id);
    return undefined;
  };
  return accept(arm, { name: "restorePoints/delete", finish });
}

function refuseSharedPoint(arm: Arm, id: string): void {
  try {
    refuseShared(arm, id);
  } catch (cause) {
    throw cause instanceof ServiceError
      ? new ServiceError(409, "DiskRestorePointUsedByCustomer", cause.message)
      : cause;
  }
}
