/** Proof by bytes: what the source's snapshots held, against what stands in the other region after a restore. */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { ContainerClient, PageBlobClient } from "@azure/storage-blob";
import { recordBytes, slots } from "./stripe.ts";

const readBytes = 8 * 1024 * 1024;
const ringBytes = slots * recordBytes;

/** What a disk held: its SHA-256, and its first MiB, where the data disks keep their stripe. */
export interface DiskContent {
  readonly sha256: string;
  readonly ring: Uint8Array;
}

/** Reads `sizeBytes` of a page blob (or of a snapshot of it), by ranges, into the hash and, where given, into a file. */
export async function readPageBlob(blob: PageBlobClient, sizeBytes: number, toFile?: string): Promise<DiskContent> {
  const hash = createHash("sha256");
  const ring = Buffer.alloc(Math.min(ringBytes, sizeBytes));
  const file = toFile === undefined ? undefined : await open(toFile, "w");
  for (let offset = 0; offset < sizeBytes; offset += readBytes) {
    const length = Math.min(readBytes, sizeBytes - offset);
    const part = await blob.downloadToBuffer(offset, length);
    hash.update(part);
    if (offset < ring.length) part.copy(ring, offset);
    if (file !== undefined) await file.write(part, 0, length, offset);
  }
  await file?.close();
  return { sha256: hash.digest("hex"), ring };
}

/** The snapshots that a run took, by blob name. They are the source's own, so what they hold owes nothing to the vault. */
export async function snapshotsOfRun(
  container: ContainerClient,
  runId: string,
): Promise<ReadonlyMap<string, PageBlobClient>> {
  const found = new Map<string, PageBlobClient>();
  for await (const item of container.listBlobsFlat({ includeSnapshots: true, includeMetadata: true })) {
    if (item.snapshot !== undefined && item.snapshot !== "" && item.metadata?.["farsiderun"] === runId) {
      found.set(item.name, container.getPageBlobClient(item.name).withSnapshot(item.snapshot));
    }
  }
  return found;
}
