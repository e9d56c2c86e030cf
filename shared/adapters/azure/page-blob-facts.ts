/** What a page blob is as a disk: its size without a VHD footer, and the identity by which it is known again. */
import type { PageBlobClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import { diskBytesOf, vhdFooterBytes } from "../../core/vhd.ts";
import { wholeBody } from "./blob-body.ts";
import { storageCall } from "./storage-call.ts";

export interface PageBlobFacts {
  /** With the footer, where there is one. */
  readonly blobBytes: number;
  readonly createdAt: string;
  /** By a copy on the server, or by a restore that has not come to its end: what it holds now is no disk's content. */
  readonly isBeingMade: boolean;
  /** available, leased, expired, breaking or broken. */
  readonly leaseState: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Throws `not-found` where it is gone, and `bad-input` where it is no page blob or an empty one. */
export async function pageBlobFacts(client: PageBlobClient, what: string, signal: AbortSignal): Promise<PageBlobFacts> {
  const properties = await storageCall(`look at ${what}`, signal, (abortSignal) =>
    client.getProperties({ abortSignal }),
  );
  const blobBytes = properties.contentLength ?? 0;
  if (properties.blobType !== "PageBlob" || blobBytes % 512 !== 0) {
    throw new FarsideError(
      "bad-input",
      `There is no disk in ${what}: it is a ${properties.blobType ?? "blob"} of ${blobBytes} bytes; a disk is a page blob. Import the image with "farside disk import".`,
    );
  }
  if (blobBytes === 0) throw new FarsideError("bad-input", `There is no disk in ${what}: it is empty.`);
  return {
    blobBytes,
    createdAt: properties.createdOn?.toISOString() ?? "",
    isBeingMade: properties.copyStatus === "pending" || properties.metadata?.["farsidestate"] === "restoring",
    leaseState: properties.leaseState,
    metadata: properties.metadata ?? {},
  };
}

/** The disk's size: a blob of one sector more, which is the footer of a fixed VHD, holds the disk before it. */
export async function diskSizeBytes(
  client: PageBlobClient,
  blobBytes: number,
  what: string,
  signal: AbortSignal,
): Promise<number> {
  if (blobBytes <= vhdFooterBytes) return blobBytes;
  return diskBytesOf(blobBytes, await readPages(client, blobBytes - vhdFooterBytes, vhdFooterBytes, what, signal));
}

/** One request, of any length (the emulator likes 8 MiB best: it reads up to 4 MiB twice). */
export async function readPages(
  client: PageBlobClient,
  offset: number,
  length: number,
  what: string,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  return storageCall(`read ${what}`, signal, (abortSignal) => {
    const ask = (from: number) => client.download(from, offset + length - from, { abortSignal });
    return wholeBody({ fromByte: offset, lengthBytes: length, ask }, abortSignal);
  });
}
