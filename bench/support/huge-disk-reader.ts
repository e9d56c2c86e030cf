/**
 * `make FILE` writes chunks to a file. `read FILE` opens a disk of 64 TiB, the largest of Azure, looks for volumes on it, reads 3 GiB
 * of it (four readers in order, one at random places) and prints its peak memory. Its store has 256 different chunks, which do not
 * compress, in the file: what stands in memory is the reader's alone.
 */
import { createCipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { MemoryVaultStore } from "../../shared/adapters/memory/memory-vault-store.ts";
import { parseDiskName } from "../../shared/core/ids.ts";
import { segmentChunks } from "../../shared/core/vault/limits.ts";
import { objectIdOf, objectName } from "../../shared/core/vault/object-id.ts";
import type { ObjectId } from "../../shared/core/vault/object-id.ts";
import { encodeObject, maxStoredBytes, nonceBytes } from "../../shared/core/vault/stored-object.ts";
import { timestamp } from "../../shared/core/timestamp.ts";
import { assembleVolumes } from "../../shared/images/volumes/assemble-volumes.ts";
import { ChunkCache } from "../../shared/operations/files/chunk-cache.ts";
import { openVaultDisk } from "../../shared/operations/files/vault-disk.ts";
import { initVault } from "../../shared/operations/vault/init-vault.ts";
import { startSession } from "../../shared/operations/vault/work-blobs.ts";
import { writeDiskIndex, writeSegment } from "../../shared/operations/vault/write-index.ts";
import {
  manualClock,
  newBackup,
  passphrase,
  quickScrypt,
  seededRandom,
} from "../../test/support/vault/vault-fixture.ts";

const mib = 1024 * 1024;
const sizeBytes = 64 * 1024 * 1024 * mib;
const readersBytes = 768 * mib;
const randomReads = 500;
const distinctChunks = 256;
const signal = new AbortController().signal;

const clock = manualClock();
const store = new MemoryVaultStore(() => clock.now());
const encryption = { kind: "passphrase", passphrase, scrypt: quickScrypt } as const;
const vault = await initVault({ store, clock, random: seededRandom("huge"), chunkSizeBytes: mib, encryption }, signal);

const [, , mode, path = ""] = process.argv;
const isMaking = mode === "make";
const file = await open(path, isMaking ? "wx" : "r");
const distinct: ObjectId[] = isMaking ? [] : (JSON.parse(readFileSync(`${path}.json`, "utf8")) as ObjectId[]);
/** Incompressible, so that it is as long as what it holds. */
const storedBytes = maxStoredBytes(vault.keys, mib);
const toMake = isMaking ? distinctChunks : 0;
for (let number = 0; number < toMake; number++) {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(number);
  const plain = createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(mib));
  const id = objectIdOf(vault.keys, "data", plain);
  const stored = await encodeObject(vault.keys, "data", id, plain, Buffer.alloc(nonceBytes));
  await file.write(stored, 0, stored.length, number * storedBytes);
  distinct.push(id);
}
if (isMaking) {
  await writeFile(`${path}.json`, JSON.stringify(distinct));
  process.exit();
}
const places = new Map(distinct.map((id, number) => [objectName("data", id), number * storedBytes]));
const ids = Array.from({ length: segmentChunks }, (_, at) => distinct[at % distinctChunks]).filter(
  (id) => id !== undefined,
);
const session = await startSession(vault, newBackup("huge", clock.now()).attemptId, signal);
const segment = await writeSegment(vault, ids, session, signal);
const segments = Array<ObjectId>(sizeBytes / mib / segmentChunks).fill(segment.id);
const index = await writeDiskIndex(vault, { sizeBytes, chunkSizeBytes: mib, segments }, session, signal);

const filed = Object.create(store) as MemoryVaultStore;
filed.read = async (name, most, aborted) => {
  const place = places.get(name);
  if (place === undefined) return store.read(name, most, aborted);
  const content = new Uint8Array(storedBytes);
  await file.read(content, 0, storedBytes, place);
  return { name, sizeBytes: content.length, lastModified: timestamp(clock.now()), etag: "0", content };
};

const cache = new ChunkCache({ ...vault, store: filed }, { cacheBytes: 64 * mib, fetchesAtOnce: 4 });
const disk = { name: parseDiskName("os"), index: index.id, sizeBytes };
const device = await openVaultDisk(cache, disk, undefined, signal);
await assembleVolumes([{ name: "os", device }], signal);

async function readOn(from: number): Promise<void> {
  for (let at = from; at < from + readersBytes; at += 256 * 1024) await device.read(at, 256 * 1024, signal);
}

async function readHere(): Promise<void> {
  for (let count = 0; count < randomReads; count++) {
    await device.read(((count * 0x9e3779b1) % (sizeBytes / mib)) * mib + 4096, 64 * 1024, signal);
  }
}

await Promise.all([0, 1, 2, 3].map((reader) => readOn(reader * 1_000_003 * mib)).concat(readHere()));
const [, peakKib] = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
process.stdout.write(JSON.stringify({ peakBytes: Number(peakKib) * 1024, ...cache.stats }));
await file.close();
