/** Two storage regions for a benchmark, in memory, and disks in the source region. */
import { randomBytes } from "node:crypto";
import { BlobServiceClient, type PageBlobClient } from "@azure/storage-blob";
import { startAzurite, type Azurite } from "../../local/azurite/azurite-process.ts";

export const mib = 1024 * 1024;

export interface Regions {
  readonly source: Azurite;
  readonly vault: Azurite;
  readonly sourceConnection: string;
  readonly vaultConnection: string;
  stop(): Promise<void>;
}

export async function startRegions(): Promise<Regions> {
  const key = (): string => randomBytes(64).toString("base64");
  const [source, vault] = await Promise.all([
    startAzurite({ accounts: [{ name: "benchsource", key: key() }] }),
    startAzurite({ accounts: [{ name: "benchvault", key: key() }] }),
  ]);
  return {
    source,
    vault,
    sourceConnection: source.connectionString("benchsource"),
    vaultConnection: vault.connectionString("benchvault"),
    async stop() {
      await Promise.all([source.stop(), vault.stop()]);
    },
  };
}

/** A page blob of `sizeBytes` with `dataBytes` of random data, spread evenly in pieces of 4 MiB. */
export async function makeDisk(
  connection: string,
  name: string,
  sizeBytes: number,
  dataBytes: number,
): Promise<PageBlobClient> {
  const container = BlobServiceClient.fromConnectionString(connection).getContainerClient("disks");
  await container.createIfNotExists();
  const blob = container.getPageBlobClient(name);
  await blob.create(sizeBytes);
  const pieces = Math.ceil(dataBytes / (4 * mib));
  const step = Math.floor(sizeBytes / pieces / (4 * mib)) * 4 * mib;
  for (let piece = 0; piece < pieces; piece++) {
    const length = Math.min(4 * mib, dataBytes - piece * 4 * mib);
    await blob.uploadPages(randomBytes(length), piece * step, length);
  }
  return blob;
}
