/** A disk image as a restore point of a vault in memory. */
import { open } from "node:fs/promises";
import { MemoryVaultStore } from "../../shared/adapters/memory/memory-vault-store.ts";
import { parseDiskName } from "../../shared/core/ids.ts";
import { timestamp } from "../../shared/core/timestamp.ts";
import { segmentChunks } from "../../shared/core/vault/limits.ts";
import type { Manifest } from "../../shared/core/vault/manifest.ts";
import type { ObjectId } from "../../shared/core/vault/object-id.ts";
import { initVault } from "../../shared/operations/vault/init-vault.ts";
import { createObjectWriter } from "../../shared/operations/vault/object-writer.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { startSession } from "../../shared/operations/vault/work-blobs.ts";
import { writeDiskIndex, writeSegment } from "../../shared/operations/vault/write-index.ts";
import { commitManifest } from "../../shared/operations/vault/write-manifest.ts";
import {
  manifestBody,
  manualClock,
  newBackup,
  passphrase,
  quickScrypt,
  seededRandom,
} from "../../test/support/vault/vault-fixture.ts";

/** Encrypted, in chunks of the default size. */
export async function imageVault(
  path: string,
  chunkSizeBytes: number,
  signal: AbortSignal,
): Promise<{ readonly vault: OpenVault; readonly manifest: Manifest }> {
  const clock = manualClock();
  const store = new MemoryVaultStore(() => clock.now());
  const encryption = { kind: "passphrase", passphrase, scrypt: quickScrypt } as const;
  const vault = await initVault({ store, clock, random: seededRandom("bench"), chunkSizeBytes, encryption }, signal);
  const backup = newBackup("web01", clock.now());
  const session = await startSession(vault, backup.attemptId, signal);
  const writer = createObjectWriter(vault, session, signal);
  const file = await open(path);
  try {
    const { size: sizeBytes } = await file.stat();
    const segments: ObjectId[] = [];
    for (let from = 0; from < sizeBytes; from += chunkSizeBytes * segmentChunks) {
      const ids: ObjectId[] = [];
      const to = Math.min(sizeBytes, from + chunkSizeBytes * segmentChunks);
      for (let at = from; at < to; at += chunkSizeBytes) {
        const plain = Buffer.alloc(Math.min(chunkSizeBytes, to - at));
        await file.read(plain, 0, plain.length, at);
        ids.push((await writer.write("data", plain)).id);
      }
      segments.push((await writeSegment(vault, ids, session, signal)).id);
    }
    const index = await writeDiskIndex(vault, { sizeBytes, chunkSizeBytes, segments }, session, signal);
    const disk = {
      name: parseDiskName("os"),
      role: "os",
      sizeBytes,
      logicalSectorSize: 512,
      identity: "identity-of-os",
      index: index.id,
      snapshotAt: timestamp(backup.atMs),
      snapshot: { kind: "test" },
      mode: "full",
      changedBytes: sizeBytes,
      newChunks: 0,
      storedBytes: 0,
    } as const;
    const { manifest } = await commitManifest(vault, await manifestBody({ vault }, backup, [disk]), {}, signal);
    return { vault, manifest };
  } finally {
    await file.close();
  }
}
