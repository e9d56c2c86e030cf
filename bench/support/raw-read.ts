/**
 * What the emulator and the SDK can do by themselves: read every blob below a prefix whole into memory, with as many requests at once as
 * the product has. No check, no decryption, no file.
 */
import { BlobServiceClient } from "@azure/storage-blob";
import pLimit from "p-limit";

/** Returns the seconds it took. The names are listed before the clock starts. */
export async function rawRead(
  from: { readonly connection: string; readonly container: string; readonly prefix: string },
  atOnce: number,
): Promise<number> {
  const container = BlobServiceClient.fromConnectionString(from.connection).getContainerClient(from.container);
  const blobs: { readonly name: string; readonly bytes: number }[] = [];
  for await (const { name, properties } of container.listBlobsFlat({ prefix: from.prefix })) {
    blobs.push({ name, bytes: properties.contentLength ?? 0 });
  }
  const reads = pLimit(atOnce);
  const startedAt = performance.now();
  await Promise.all(
    blobs.map(async ({ name, bytes }) =>
      // With its length, or the SDK would ask for that first.
      reads(() => container.getBlobClient(name).downloadToBuffer(0, bytes)),
    ),
  );
  return (performance.now() - startedAt) / 1000;
}
