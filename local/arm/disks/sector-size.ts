/**
 * Sectors of 4096 bytes, which Premium SSD v2 and Ultra disks have where nothing else is asked for (CreationData: logicalSectorSize). Their
 * snapshots are VHDX files. This region gives them as VHD, flat, with the footer: the documentation shows neither the bytes of a VHDX behind a
 * SAS nor its page ranges.
 */
import { ServiceError } from "../service-error.ts";
import { asObject, type Json, propertiesOf, type Resource } from "../resources.ts";
import { isCopiedInBackground } from "./background-copy.ts";

export function sectorSizeOf(disk: Resource): number {
  const asked = asObject(propertiesOf(disk)["creationData"])["logicalSectorSize"];
  return typeof asked === "number" ? asked : isCopiedInBackground(disk) ? 4096 : 512;
}

/** Throws where a SAS is asked for in a format that the resource is not given in. */
export function checkFileFormat(resource: Resource, fileFormat: unknown): void {
  const { creationData, logicalSectorSize } = propertiesOf(resource);
  const isVhdx = (logicalSectorSize ?? asObject(creationData)["logicalSectorSize"]) === 4096;
  const refuse = (text: string): never => {
    throw new ServiceError(400, "InvalidParameter", text);
  };
  if (fileFormat === "VHDX") refuse("fileFormat VHDX is not given in this region: ask for VHD.");
  if (fileFormat !== undefined && fileFormat !== "VHD") refuse(`fileFormat is VHD or VHDX.`);
  if (isVhdx && fileFormat === undefined) refuse(`${resource.id} is a VHDX file: fileFormat must be given.`);
}

/** Throws where a disk of this SKU cannot have such sectors. */
export function checkSectorSize(disk: Json): void {
  const asked = asObject(asObject(disk["properties"])["creationData"])["logicalSectorSize"];
  if (asked === undefined) return;
  const large = isCopiedInBackground({ id: "", type: "", body: disk });
  if (asked === 512 || (asked === 4096 && large)) return;
  const text = `logicalSectorSize ${JSON.stringify(asked)} is not one of this disk: 512, or 4096 with UltraSSD_LRS or PremiumV2_LRS.`;
  throw new ServiceError(400, "InvalidParameter", text);
}
