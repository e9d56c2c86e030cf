/**
 * The stripe test (invariant I2, and "never lie"): a guest numbers its writes across two disks all the time. With freezing, the
 * disks of every restore point are of one instant. The control runs the same check without freezing and must catch torn stripes.
 *
 * Both go through a proxy that lets the second disk's snapshot wait a little, as snapshots of a real service do: there they take
 * hundreds of milliseconds, here they would be over before the guest's next write.
 */
import { BlobServiceClient } from "@azure/storage-blob";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startAzurite, type Azurite } from "../../../local/azurite/azurite-process.ts";
import { startStripeGuest, type StripeGuest } from "../../../local/demo/guest.ts";
import { judgeStripe, recordBytes, slots, type StripeVerdict } from "../../../local/demo/stripe.ts";
import type { BackupRun } from "../../../shared/core/run.ts";
import { readManifest } from "../../../shared/operations/vault/list-restore-points.ts";
import { readDisk } from "../../../shared/operations/vault/read-disk.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { startStorageProxy, type StorageProxy } from "../../support/storage-proxy.ts";

const backups = 20;
const diskBytes = 4 * 1024 * 1024;
const ringBytes = slots * recordBytes;
const account = { name: "stripesource", key: Buffer.alloc(64, 7).toString("base64") };
const vaultAccount = { name: "stripevault", key: Buffer.alloc(64, 9).toString("base64") };
const never = new AbortController().signal;

let source: Azurite;
let vaultRegion: Azurite;
let proxy: StorageProxy;
let proxied: string;

beforeAll(async () => {
  [source, vaultRegion] = await Promise.all([
    startAzurite({ accounts: [account] }),
    startAzurite({ accounts: [vaultAccount] }),
  ]);
  proxy = await startStorageProxy(source.blobUrl);
  proxied = source.connectionString(account.name).replace(source.blobUrl, proxy.url);
});

afterAll(async () => {
  await proxy.close();
  await Promise.all([source.stop(), vaultRegion.stop()]);
});

interface Scene {
  readonly pipeline: RealPipeline;
  readonly guest: StripeGuest;
  readonly urls: readonly [string, string];
}

/** A VM of two disks whose guest writes to them directly; only the backups go through the proxy. */
async function scene(name: string): Promise<Scene> {
  const container = BlobServiceClient.fromConnectionString(source.connectionString(account.name)).getContainerClient(
    name,
  );
  await container.create();
  const blobs = [container.getPageBlobClient("a"), container.getPageBlobClient("b")] as const;
  for (const blob of blobs) await blob.create(diskBytes);
  const guest = await startStripeGuest({
    accountName: account.name,
    accountKey: account.key,
    disks: [blobs[0].url, blobs[1].url],
    firstRecord: 0,
  });
  const pipeline = await createRealPipeline({
    accounts: [proxied],
    vaultConnection: vaultRegion.connectionString(vaultAccount.name),
    vaultContainer: name,
    chunkSizeBytes: 256 * 1024,
  });
  const urls = [`${proxy.url}/${account.name}/${name}/a`, `${proxy.url}/${account.name}/${name}/b`] as const;
  return { pipeline, guest, urls };
}

async function restoredStripe(pipeline: RealPipeline, run: BackupRun): Promise<StripeVerdict> {
  if (run.state !== "succeeded") throw new Error(`The backup ${run.state}: ${"error" in run ? run.error.message : ""}`);
  const found = await readManifest(pipeline.vault, run.vmId, run.restorePointId, never);
  if (found.kind !== "standing") throw new Error(`The manifest is ${found.kind}.`);
  const [ringA, ringB] = await Promise.all(
    found.manifest.disks.map(async (disk) => {
      const ring = new Uint8Array(ringBytes);
      for await (const piece of readDisk(pipeline.vault, disk, { toByte: ringBytes }, never)) {
        if (piece.kind === "data") ring.set(piece.content, piece.offset);
      }
      return ring;
    }),
  );
  if (ringA === undefined || ringB === undefined) throw new Error("The restore point does not hold two disks.");
  return judgeStripe(ringA, ringB);
}

function delaySnapshotsOfA(): { readonly hits: number } {
  return proxy.inject(
    (request) => request.kind === "snapshot" && request.path.endsWith("/a"),
    { kind: "delay", ms: 40 },
    backups,
  );
}

test(`With freezing, the restored disks of ${backups} backups under load are each of one instant`, async () => {
  const { pipeline, guest, urls } = await scene("frozen");
  const delay = delaySnapshotsOfA();
  try {
    const vm = await pipeline.protect({
      name: "frozen",
      disks: [
        { name: "a", url: urls[0] },
        { name: "b", url: urls[1] },
      ],
      guestUrl: guest.url,
      wanted: "application",
      least: "application",
    });
    const newest: number[] = [];
    for (let n = 0; n < backups; n++) {
      const writtenBefore = guest.written();
      const run = await pipeline.backup(vm);
      const verdict = await restoredStripe(pipeline, run);
      expect(verdict).toMatchObject({ oneInstant: true });
      // Quiesced: the record that was being written had been finished on both.
      expect(verdict.newestA).toBe(verdict.newestB);
      expect(verdict.newestA).toBeGreaterThanOrEqual(writtenBefore - 1);
      expect("set" in run ? run.set?.consistency : undefined).toMatchObject({ achieved: "application" });
      newest.push(verdict.newestA);
    }
    // Under load: the guest went on writing between the backups.
    expect(new Set(newest).size).toBe(backups);
    expect(delay.hits).toBe(backups);
  } finally {
    await guest.stop();
  }
});

test("Control: without freezing the same check catches torn stripes, and those points say crash and show their skew", async () => {
  const { pipeline, guest, urls } = await scene("unfrozen");
  const delay = delaySnapshotsOfA();
  try {
    const vm = await pipeline.protect({
      name: "unfrozen",
      disks: [
        { name: "a", url: urls[0] },
        { name: "b", url: urls[1] },
      ],
    });
    let torn = 0;
    for (let n = 0; n < backups; n++) {
      const run = await pipeline.backup(vm);
      const verdict = await restoredStripe(pipeline, run);
      if (verdict.oneInstant) continue;
      torn++;
      const consistency = "set" in run ? run.set?.consistency : undefined;
      expect(consistency?.achieved).toBe("crash");
      expect(consistency?.skewMs).toBeGreaterThan(0);
    }
    expect(torn).toBeGreaterThan(0);
    expect(delay.hits).toBe(backups);
  } finally {
    await guest.stop();
  }
});
