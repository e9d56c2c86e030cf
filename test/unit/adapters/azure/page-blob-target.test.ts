import { expect, test } from "vitest";
import { PageBlobTarget } from "../../../../shared/adapters/azure/page-blob-target.ts";
import { StorageAccounts } from "../../../../shared/adapters/azure/storage-accounts.ts";
import { parseDiskName } from "../../../../shared/core/ids.ts";
import { sampleRunId } from "../../../support/sample-rows.ts";

test("A disk that no page blob can hold with its footer is refused before anybody is asked, and told where it can go", async () => {
  const key = Buffer.alloc(64, 7).toString("base64");
  // Nobody answers there: a request would fail otherwise.
  const settings = `DefaultEndpointsProtocol=http;AccountName=none;AccountKey=${key};BlobEndpoint=http://127.0.0.1:9/none`;
  const target = new PageBlobTarget(await StorageAccounts.open([settings]));
  const name = parseDiskName("data");
  const disk = { name, sizeBytes: 8 * 1024 ** 4, url: target.locate("http://127.0.0.1:9/none/restored", name) };
  const signal = new AbortController().signal;
  const refused = { code: "not-supported", message: expect.stringMatching(/--to-file.*--revert/) };
  await expect(target.isTaken(disk, sampleRunId(1), signal)).rejects.toMatchObject(refused);
  await expect(target.prepare(disk, sampleRunId(1), signal)).rejects.toMatchObject(refused);
  await expect(target.replace(disk, sampleRunId(1), signal)).rejects.toMatchObject(refused);
});
