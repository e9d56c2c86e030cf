/** Disks whose content is known, and what a blob, a snapshot or a restore point holds, as one comparable digest. */
import { createHash, type Hash } from "node:crypto";
import type { ContainerClient, PageBlobClient } from "@azure/storage-blob";
import type { Manifest } from "../../../shared/core/vault/manifest.ts";
import type { OpenVault } from "../../../shared/operations/vault/open-vault.ts";
import { readDisk } from "../../../shared/operations/vault/read-disk.ts";

const pageBytes = 512;
const zeroPage = Buffer.alloc(pageBytes);
const mostInOneWrite = 4 * 1024 * 1024;
const never = new AbortController().signal;

/** Bytes that do not compress, always the same for a seed. */
export function noise(seed: string, length: number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < length; at += 64 * 1024) {
    const block = createHash("shake256", { outputLength: Math.min(64 * 1024, length - at) });
    pieces.push(block.update(`${seed}/${at}`).digest());
  }
  return Buffer.concat(pieces, length);
}

export async function write(blob: PageBlobClient, offset: number, content: Buffer): Promise<void> {
  for (let at = 0; at < content.length; at += mostInOneWrite) {
    const part = content.subarray(at, at + mostInOneWrite);
    await blob.uploadPages(part, offset + at, part.length);
  }
}

/** A page blob of this size with noise at each of these places. */
export async function makeDisk(
  container: ContainerClient,
  name: string,
  sizeBytes: number,
  places: readonly { readonly offset: number; readonly length: number }[],
): Promise<PageBlobClient> {
  const blob = container.getPageBlobClient(name);
  await blob.create(sizeBytes);
  for (const { offset, length } of places) await write(blob, offset, noise(`${name}/${offset}`, length));
  return blob;
}

/** Of the pages that are not zeros, with their places: however they are allocated, stored or split. */
class ContentDigest {
  readonly #hash: Hash = createHash("sha256");

  add(offset: number, content: Uint8Array): void {
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    for (let at = 0; at < bytes.length; at += pageBytes) {
      const page = bytes.subarray(at, at + pageBytes);
      if (!page.equals(zeroPage)) this.#hash.update(`${offset + at}:`).update(page);
    }
  }

  end(sizeBytes: number): string {
    return this.#hash.update(`size ${sizeBytes}`).digest("hex");
  }
}

/** What the first `sizeBytes` of a page blob, or of a snapshot of it, hold. */
export async function blobDigest(blob: PageBlobClient, sizeBytes: number): Promise<string> {
  const digest = new ContentDigest();
  for await (const { start, end } of blob.listPageRanges(0, sizeBytes)) {
    for (let at = start; at <= end; at += mostInOneWrite) {
      digest.add(at, await blob.downloadToBuffer(at, Math.min(mostInOneWrite, end + 1 - at)));
    }
  }
  return digest.end(sizeBytes);
}

/** What each disk of a restore point holds, read from the vault. */
export async function pointDigests(vault: OpenVault, manifest: Manifest): Promise<Readonly<Record<string, string>>> {
  const digests: Record<string, string> = {};
  for (const disk of manifest.disks) {
    const digest = new ContentDigest();
    for await (const piece of readDisk(vault, disk, {}, never)) {
      if (piece.kind === "data") digest.add(piece.offset, piece.content);
    }
    digests[disk.name] = digest.end(disk.sizeBytes);
  }
  return digests;
}

/** Every snapshot in a container that Farside made: its blob, its run and attempt. */
export async function ownSnapshots(
  container: ContainerClient,
): Promise<readonly { readonly blob: string; readonly attempt: string; readonly client: PageBlobClient }[]> {
  const found = [];
  for await (const { name, snapshot, metadata } of container.listBlobsFlat({
    includeSnapshots: true,
    includeMetadata: true,
  })) {
    const attempt = metadata?.["farsideattempt"];
    if (snapshot === undefined || snapshot === "" || attempt === undefined) continue;
    found.push({ blob: name, attempt, client: container.getPageBlobClient(name).withSnapshot(snapshot) });
  }
  return found;
}

export async function workBlobs(vault: ContainerClient): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { name } of vault.listBlobsFlat({ prefix: "work/" })) names.push(name);
  return names;
}
