/** What a page blob is as a disk: its size without a VHD footer, and the identity by which it is known again. */
import type { PageBlobClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import { diskBytesOf, vhdFooterBytes } from "../../core/vhd.ts";
import { storageCall } from "./storage-call.ts";
import { storageFault } from "./storage-errors.ts";

const bodyBreaks = 2;

export interface PageBlobFacts {
  /** With the footer, where there is one. */
  readonly blobBytes: number;
  readonly createdAt: string;
  readonly isBeingCopied: boolean;
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
    isBeingCopied: properties.copyStatus === "pending",
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

/**
 * One request of any length. A body that breaks off is gone on with from where it broke, twice: the SDK does so only where a
 * body ends early, and takes a connection that breaks in the middle for an abort by the caller.
 */
export async function readPages(
  client: PageBlobClient,
  offset: number,
  length: number,
  what: string,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const content = new Uint8Array(length);
  let got = 0;
  await storageCall(`read ${what}`, signal, async (abortSignal) => {
    for (let broken = 0; got < length;) {
      try {
        const { readableStreamBody } = await client.download(offset + got, length - got, { abortSignal });
        if (readableStreamBody === undefined) throw new Error("no body");
        for await (const piece of readableStreamBody as AsyncIterable<Buffer>) {
          content.set(piece, got);
          got += piece.length;
        }
      } catch (error) {
        if (abortSignal.aborted || storageFault(error) !== undefined || broken === bodyBreaks) throw error;
        broken++;
      }
    }
  });
  return content;
}
