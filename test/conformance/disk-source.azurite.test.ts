import { afterAll, beforeAll, describe } from "vitest";
import { PageBlobSource } from "../../shared/adapters/azure/page-blob-source.ts";
import { StorageAccounts } from "../../shared/adapters/azure/storage-accounts.ts";
import { makePageBlobVm } from "../support/page-blob-vm.ts";
import { startStorageProxy, throughProxy, type StorageProxy } from "../support/storage-proxy.ts";
import { startTestAzurite, type TestAzurite } from "../support/test-azurite.ts";
import { diskSourceConformance, testDiskBytes, type DiskSourceUnderTest } from "./disk-source.suite.ts";

let region: TestAzurite;
let exact: StorageProxy;
beforeAll(async () => {
  region = await startTestAzurite();
  const { connectionString } = region;
  exact = await startStorageProxy(region.azurite.blobUrl, { exactDiff: { connectionString, pageSize: 2 } });
});
afterAll(async () => {
  await exact.close();
  await region.azurite.stop();
});

async function subject(
  endpoint: string,
  connectionString: string,
  diff: "exact" | "wrong",
): Promise<DiskSourceUnderTest> {
  const made = await makePageBlobVm(region.connectionString, testDiskBytes);
  return {
    source: new PageBlobSource(await StorageAccounts.open([connectionString])),
    vm: made.vm(endpoint),
    write: async (disk, offset, content) => {
      await made.disks[disk]?.uploadPages(content, offset, content.length);
    },
    clear: async (disk, offset, length) => {
      await made.disks[disk]?.clearPages(offset, length);
    },
    destroy: async (disk) => {
      await made.disks[disk]?.delete({ deleteSnapshots: "include" });
    },
    diff,
  };
}

describe("Page blobs as a source, on a service whose changed-page list is wrong", () => {
  diskSourceConformance(async () => subject(region.azurite.blobUrl, region.connectionString, "wrong"));
});

describe("Page blobs as a source, on a service whose changed-page list is exact and comes in pages", () => {
  diskSourceConformance(async () => subject(exact.url, throughProxy(region.connectionString, exact), "exact"));
});
