/** Incremental snapshots of managed disks, with their documented limits. */
import { randomUUID } from "node:crypto";
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { accept, ok, page } from "../arm.ts";
import { ServiceError } from "../service-error.ts";
import { diskBytes } from "../disks/disk-bytes.ts";
import { asObject, asText, type Json, propertiesOf, type Resource } from "../resources.ts";
import { copyState, isCopiedInBackground, refuseMorePending } from "../disks/background-copy.ts";
import { sectorSizeOf } from "../disks/sector-size.ts";
import { checkNetworkAccess, invalid, refuseShared } from "./disks.ts";

const type = "Microsoft.Compute/snapshots";
const inGroup =
  "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute/snapshots";

export const snapshotRoutes: readonly Route[] = [
  { method: "PUT", template: `${inGroup}/{snapshotName}`, handle: putSnapshot },
  {
    method: "GET",
    template: `${inGroup}/{snapshotName}`,
    handle: (arm, call) => ok(arm.resources.require(call.id).body),
  },
  { method: "DELETE", template: `${inGroup}/{snapshotName}`, handle: deleteSnapshot },
  { method: "GET", template: inGroup, handle: listSnapshots },
  {
    method: "GET",
    template: "/subscriptions/{subscriptionId}/providers/Microsoft.Compute/snapshots",
    handle: listSnapshots,
  },
];

/** Documented limits of incremental snapshots. */
const mostOfDisk = 500;
const mostInFiveMinutes = 7;
const fiveMinutesMs = 5 * 60_000;

function listSnapshots(arm: Arm, call: ArmCall): Reply {
  const scope = call.id.slice(0, call.id.toLowerCase().indexOf("/providers/"));
  const bodies = arm.resources.below(scope, type).map(({ body }) => body);
  return page(call, bodies, 100, call.id);
}

function putSnapshot(arm: Arm, call: ArmCall): Reply {
  const { id, body } = call;
  const properties = asObject(body["properties"]);
  const creation = asObject(properties["creationData"]);
  if (creation["createOption"] !== "Copy")
    throw invalid(`createOption ${String(creation["createOption"])} is not known here.`);
  const standing = arm.resources.get(id);
  // The same PUT again changes nothing: the snapshot of the first one stands.
  if (standing !== undefined) return ok(standing.body);
  const disk = arm.resources.require(asText(creation["sourceResourceId"]) ?? "");
  if (disk.bytes === undefined) throw invalid(`${disk.id} has no bytes to snapshot.`);
  const incremental = properties["incremental"] === true;
  if (!incremental && isCopiedInBackground(disk)) {
    throw invalid(`Of ${disk.id} there are incremental snapshots only: its SKU is Premium SSD v2 or Ultra.`);
  }
  checkNetworkAccess(properties);
  if (incremental) refuseTooMany(arm, disk);
  refuseMorePending(arm.resources, disk);
  const taken = snapshotOf(arm, disk);
  const resource: Resource = {
    id,
    type,
    ...taken.content,
    body: {
      ...body,
      id,
      name: call.params["snapshotName"],
      type,
      properties: {
        networkAccessPolicy: "AllowAll",
        ...properties,
        ...taken.properties,
        ...(incremental ? {} : { incrementalSnapshotFamilyId: undefined }),
        creationData: { ...creation, ...sectors(disk), sourceUniqueId: propertiesOf(disk)["uniqueId"] },
        uniqueId: randomUUID(),
        timeCreated: new Date(arm.now()).toISOString(),
        provisioningState: "Creating",
      },
    },
  };
  arm.resources.put(resource);
  const finish = (): Json => arm.resources.change(id, { provisioningState: "Succeeded" }).body;
  const onFailure = (): void => void arm.resources.change(id, { provisioningState: "Failed" });
  return accept(arm, { name: "snapshots/write", finish, onFailure }, { status: 202, first: resource.body });
}

function refuseTooMany(arm: Arm, disk: Resource): void {
  const unique = propertiesOf(disk)["uniqueId"];
  const others = arm.resources.all().filter((one) => {
    const { creationData, incremental } = propertiesOf(one);
    return one.type === type && incremental === true && asObject(creationData)["sourceUniqueId"] === unique;
  });
  if (others.length >= mostOfDisk) {
    throw new ServiceError(
      409,
      "OperationNotAllowed",
      `The disk ${disk.id} has ${mostOfDisk} incremental snapshots already.`,
    );
  }
  const recent = others.filter(
    (one) => arm.now() - Date.parse(String(propertiesOf(one)["timeCreated"])) < fiveMinutesMs,
  );
  if (recent.length < mostInFiveMinutes) return;
  const text = `At most ${mostInFiveMinutes} incremental snapshots of a disk can be made in five minutes.`;
  throw new ServiceError(409, "OperationNotAllowed", text);
}

/**
 * The disk's bytes of this instant, and what a snapshot or disk restore point tells of them. The family is the disk's: a disk that is
 * made anew under the same name is another one.
 */
export function snapshotOf(arm: Arm, disk: Resource) {
  if (disk.bytes === undefined) throw invalid(`${disk.id} has no bytes to snapshot.`);
  const { snapshot, disk: goesOn } = arm.store.snapshot(disk.bytes);
  const state = disk.guestState === undefined ? undefined : arm.store.snapshot(disk.guestState);
  arm.resources.put({ ...disk, bytes: goesOn, ...(state === undefined ? {} : { guestState: state.disk }) });
  const startedAt = arm.now();
  const copy = { startedAt, readyAt: startedAt + arm.takes("snapshots/copy") };
  const content = {
    bytes: snapshot,
    ...(state === undefined ? {} : { guestState: state.snapshot }),
    ...(isCopiedInBackground(disk) ? { copy } : {}),
  };
  const { osType, hyperVGeneration, securityProfile, uniqueId } = propertiesOf(disk);
  const properties: Json = {
    diskSizeBytes: diskBytes(snapshot),
    diskSizeGB: Math.ceil(diskBytes(snapshot) / 1024 ** 3),
    ...(osType === undefined ? {} : { osType }),
    ...(hyperVGeneration === undefined ? {} : { hyperVGeneration }),
    ...(securityProfile === undefined ? {} : { securityProfile }),
    ...copyState(content.copy, startedAt),
    incrementalSnapshotFamilyId: familyOf(String(uniqueId)),
  };
  return { content, properties };
}

/** Told where they are not the usual 512 bytes. */
function sectors(disk: Resource): Json {
  const logicalSectorSize = sectorSizeOf(disk);
  return logicalSectorSize === 512 ? {} : { logicalSectorSize };
}

/** One family for each disk, told apart from the disk's own id. */
export function familyOf(diskUniqueId: string): string {
  return `f${diskUniqueId.slice(1)}`;
}

function deleteSnapshot(arm: Arm, { id }: ArmCall): Reply {
  if (arm.resources.get(id) === undefined) return { kind: "done", status: 204 };
  refuseShared(arm, id);
  const finish = (): undefined => {
    arm.resources.remove(id);
    return undefined;
  };
  return accept(arm, { name: "snapshots/delete", finish });
}
