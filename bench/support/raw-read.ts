/**
 * What the emulator and the SDK can do by themselves: read every blob below a prefix whole, with as many requests at once as the product
 * has. No check, no decryption, no file.
 */
import { BlobServiceClient } from "@azure/storage-blob";
import pLimit from "p-limit";

/** Returns the seconds it took. The names are listed before the clock starts. */
export async function rawRead(
  from: { readonly connection: string; readonly container: string; readonly prefix: string },
  atOnce: number,
): Promise<number> {
  const container = BlobServiceClient.fromConnectionString(from.connection).getContainerClient(from.container);
  const names: string[] = [];
  for await (const { name } of container.listBlobsFlat({ prefix: from.prefix })) names.push(name);
  const reads = pLimit(atOnce);
  const startedAt = performance.now();
  await Promise.all(
    names.map(async (name) =>
      reads(async () => {
        const answer = await container.getBlobClient(name).download();
        if (answer.readableStreamBody === undefined) throw new Error("The answer has no body.");
        for await (const _ of answer.readableStreamBody);
      }),
    ),
  );
  return (performance.now() - startedAt) / 1000;
}
