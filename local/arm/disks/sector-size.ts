/**
 * Sectors of 4096 bytes, which Premium SSD v2 and Ultra disks have where nothing else is asked for (CreationData: logicalSectorSize). Their
 * snapshots are VHDX files. This region gives them flat, with the footer of a VHD, whether fileFormat says VHD or nothing: the
 * documentation shows neither what a SAS without it gives, nor the bytes and page ranges of a VHDX.
 */
import { ServiceError } from "../service-error.ts";
import { asObject, type Json, propertiesOf, type Resource } from "../resources.ts";
import { isCopiedInBackground } from "./background-copy.ts";

export function sectorSizeOf(disk: Resource): number {
  const asked = asObject(propertiesOf(disk)["creationData"])["logicalSectorSize"];
  return typeof asked === "number" ? asked : isCopiedInBackground(disk) ? 4096 : 512;
}

/** Throws where a SAS is asked for in a format that this region does not give. */
export function checkFileFormat(fileFormat: unknown): void {
  if (fileFormat === undefined || fileFormat === "VHD") return;
  const text = `fileFormat ${JSON.stringify(fileFormat)} is not given in this region: ask for VHD.`;
  throw new ServiceError(400, "InvalidParameter", text);
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
