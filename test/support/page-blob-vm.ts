/** A VM whose disks are page blobs of a container of its own, for tests. */
import { randomUUID } from "node:crypto";
import { BlobServiceClient, type ContainerClient, type PageBlobClient } from "@azure/storage-blob";
import { parseDiskName } from "../../shared/core/ids.ts";
import type { ProtectedVm } from "../../shared/core/vm.ts";
import { sampleVm } from "./sample-rows.ts";

export interface PageBlobVm {
  readonly container: ContainerClient;
  readonly disks: readonly PageBlobClient[];
  /** Its URLs are of the endpoint that is given to `vm`, which may be a proxy. */
  vm(endpoint: string): ProtectedVm;
}

export async function makePageBlobVm(
  connectionString: string,
  sizeBytes: number,
  names: readonly string[] = ["os", "data"],
): Promise<PageBlobVm> {
  const service = BlobServiceClient.fromConnectionString(connectionString);
  const container = service.getContainerClient(`disks-${randomUUID()}`);
  await container.create();
  const disks = names.map((name) => container.getPageBlobClient(`vm/${name}.vhd`));
  for (const disk of disks) await disk.create(sizeBytes);
  return {
    container,
    disks,
    vm: (endpoint) => ({
      ...sampleVm,
      source: {
        kind: "page-blob",
        disks: names.map((name, lun) => ({
          name: parseDiskName(name),
          url: `${endpoint}/${container.accountName}/${container.containerName}/vm/${name}.vhd`,
          role: name === "os" ? "os" : "data",
          lun,
        })),
      },
    }),
  };
}
