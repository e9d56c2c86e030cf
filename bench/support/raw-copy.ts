/**
 * What the two emulators and the SDK can do by themselves: read a page blob by ranges of 8 MiB and put it as blobs of 1 MiB, with
 * as many requests at once as the product has. No hash, no compression, no encryption, no check whether a chunk is there.
 */
import { BlobServiceClient } from "@azure/storage-blob";
import pLimit from "p-limit";
import { mib } from "./regions.ts";

const readBytes = 8 * mib;

/** Returns the seconds it took. */
export async function rawCopy(
  from: { readonly connection: string; readonly container: string; readonly blob: string; readonly sizeBytes: number },
  to: { readonly connection: string; readonly container: string },
  atOnce: number,
): Promise<number> {
  const blob = BlobServiceClient.fromConnectionString(from.connection)
    .getContainerClient(from.container)
    .getPageBlobClient(from.blob);
  const target = BlobServiceClient.fromConnectionString(to.connection).getContainerClient(to.container);
  await target.createIfNotExists();
  const reads = pLimit(2);
  const puts = pLimit(atOnce);
  const startedAt = performance.now();
  const pending: Promise<unknown>[] = [];
  for (let offset = 0; offset < from.sizeBytes; offset += readBytes) {
    pending.push(
      reads(async () => {
        const content = await blob.downloadToBuffer(offset, Math.min(readBytes, from.sizeBytes - offset));
        const chunks = Array.from({ length: Math.ceil(content.length / mib) }, (_, n) =>
          content.subarray(n * mib, (n + 1) * mib),
        );
        await Promise.all(
          chunks.map(async (chunk, n) =>
            puts(() =>
              target
                .getBlockBlobClient(`raw/${offset + n * mib}`)
                .upload(chunk, chunk.length, { conditions: { ifNoneMatch: "*" } }),
            ),
          ),
        );
      }),
    );
  }
  await Promise.all(pending);
  return (performance.now() - startedAt) / 1000;
}
