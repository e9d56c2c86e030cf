/** Makes a managed disk from an image by direct upload, as the platform documents it: made for upload, written by a SAS, the footer last. */
import { randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { buildVhdFooter, vhdFooterBytes } from "../../../shared/core/vhd.ts";
import { apiVersions, type LocalArmClient } from "../local-client.ts";
import { asObject, asText, type Json } from "../resources.ts";

export interface DiskToUpload {
  readonly id: string;
  /** `location`, `sku`, `tags` and so on. */
  readonly top: Json;
  /** `osType`, `hyperVGeneration` and so on. */
  readonly properties: Json;
  /** A raw image; a whole number of MiB. */
  readonly image: string;
}

const blockBytes = 1024 * 1024;
const accessSeconds = 3600;

/** A disk of the same name that an interrupted start left is replaced. */
export async function uploadDisk(client: LocalArmClient, disk: DiskToUpload, signal: AbortSignal): Promise<void> {
  const { id, top, properties, image } = disk;
  if ((await client.get(id, apiVersions.disks)) !== undefined) {
    await client.post(`${id}/endGetAccess`, apiVersions.disks);
    await client.delete(id, apiVersions.disks);
  }
  const file = await open(image);
  try {
    const { size } = await file.stat();
    const creationData = { createOption: "Upload", uploadSizeBytes: size + vhdFooterBytes };
    await client.put(id, apiVersions.disks, { ...top, properties: { ...properties, creationData } });
    const access = { access: "Write", durationInSeconds: accessSeconds };
    const { accessSAS } = await client.post(`${id}/beginGetAccess`, apiVersions.disks, access);
    const blob = new PageBlobClient(asText(accessSAS) ?? "", new AnonymousCredential());
    const block = Buffer.alloc(blockBytes);
    for (let offset = 0; offset < size; offset += blockBytes) {
      const { bytesRead } = await file.read(block, 0, blockBytes, offset);
      const content = block.subarray(0, bytesRead);
      // A new disk reads as zeros where nothing was written.
      if (isZero(content)) continue;
      await blob.uploadPages(content, offset, content.length, { abortSignal: signal });
    }
    const footer = buildVhdFooter({ sizeBytes: size, createdAtMs: Date.now(), uniqueId: randomBytes(16) });
    await blob.uploadPages(footer, size, footer.length, { abortSignal: signal });
    await client.post(`${id}/endGetAccess`, apiVersions.disks);
  } finally {
    await file.close();
  }
  const made = asObject((await client.get(id, apiVersions.disks))?.["properties"]);
  if (made["diskState"] !== "Unattached")
    throw new Error(`The disk ${id} is ${String(made["diskState"])} after its upload.`);
}

const zeros = Buffer.alloc(blockBytes);

export function isZero(content: Buffer): boolean {
  return content.equals(zeros.subarray(0, content.length));
}
