import { describe, expect, test } from "vitest";
import { objectName, zeroObjectId } from "../../../../shared/core/vault/object-id.ts";
import { diskSegments, readDisk, readDiskIndex, readSegment } from "../../../../shared/operations/vault/read-disk.ts";
import type { VaultStore } from "../../../../shared/ports/vault-store.ts";
import type { DiskRef, ReadDiskOptions } from "../../../../shared/operations/vault/read-disk.ts";
import { openVault } from "../../../../shared/operations/vault/open-vault.ts";
import type { OpenVault } from "../../../../shared/operations/vault/open-vault.ts";
import {
  backUp,
  collect,
  kib,
  makeVault,
  noise,
  passphrase,
  prose,
  seededRandom,
  signal,
} from "../../../support/vault/vault-fixture.ts";

async function readAll(vault: OpenVault, disk: DiskRef, options: ReadDiskOptions = {}): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let next = options.fromByte ?? 0;
  for await (const piece of readDisk(vault, disk, options, signal)) {
    expect(piece.offset).toBe(next);
    next += piece.length;
    parts.push(piece.kind === "zero" ? new Uint8Array(piece.length) : piece.content);
  }
  return Buffer.concat(parts);
}

describe("Reading a disk of a restore point", () => {
  test("gives its bytes, from an encrypted and from an unencrypted vault", async () => {
    for (const encryption of [undefined, { kind: "none" } as const]) {
      const made = await makeVault(encryption);
      const content = Buffer.concat([prose("fox", 700 * kib), new Uint8Array(900 * kib), noise("n", 300 * kib + 77)]);
      const manifest = await backUp(made, "web01", { os: content });
      const secret = encryption === undefined ? { passphrase } : {};
      const vault = await openVault({ store: made.store, random: seededRandom("r"), ...secret }, signal);
      const [disk] = manifest.disks;
      if (disk === undefined) throw new Error("no disk");
      expect((await readAll(vault, disk)).equals(content)).toBe(true);
      for (const [fromByte, toByte] of [
        [0, 1],
        [100, 700 * kib],
        [256 * kib - 1, 256 * kib + 1],
        [content.length - 1, content.length],
        [5, 5],
      ] as const) {
        const part = await readAll(vault, disk, { fromByte, toByte, parallelism: 2 });
        expect(part.equals(content.subarray(fromByte, toByte))).toBe(true);
      }
    }
  });
});

describe("Reading a disk, as a stream,", () => {
  const chunk = 256 * kib;

  async function longDisk() {
    const made = await makeVault({ kind: "none" });
    const parts = Array.from({ length: 40 }, (_, at) => prose(`chunk ${at}`, chunk));
    const { disks } = await backUp(made, "web01", { os: Buffer.concat(parts) });
    const [disk] = disks;
    if (disk === undefined) throw new Error("no disk");
    return { ...made, disk };
  }

  /** Counts chunk reads that are under way or whose result has not been taken. */
  function counting(store: VaultStore) {
    const seen = { started: 0, aborted: 0 };
    const wrapped = Object.create(store) as VaultStore;
    Object.assign(wrapped, {
      read: async (name: string, most: number, s: AbortSignal) => {
        if (name.startsWith("chunks/")) {
          seen.started += 1;
          s.addEventListener("abort", () => (seen.aborted += 1), { once: true });
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        return store.read(name, most, s);
      },
    });
    return { wrapped, seen };
  }

  test("never has more chunks in hand than its parallelism, however slow its reader is", async () => {
    const { vault, disk, store } = await longDisk();
    const { wrapped, seen } = counting(store);
    let taken = 0;
    let most = 0;
    for await (const piece of readDisk({ ...vault, store: wrapped }, disk, { parallelism: 4 }, signal)) {
      await new Promise((resolve) => setTimeout(resolve, 3));
      most = Math.max(most, seen.started - taken);
      taken += 1;
      expect(piece.kind).toBe("data");
    }
    expect([taken, most]).toEqual([40, 4]);
  });

  test("stops reading when its reader leaves", async () => {
    const { vault, disk, store } = await longDisk();
    const { wrapped, seen } = counting(store);
    for await (const _ of readDisk({ ...vault, store: wrapped }, disk, { parallelism: 4 }, signal)) break;
    const atLeaving = seen.started;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(seen.started).toBe(atLeaving);
    expect(seen.aborted).toBeGreaterThan(0);
  });

  test("gives all that comes before a damaged chunk, and then the damage", async () => {
    const { vault, disk, store } = await longDisk();
    const index = await readDiskIndex(vault, disk, signal);
    const [segment] = diskSegments(index);
    if (segment === undefined) throw new Error("no segment");
    const ids = await readSegment(vault, segment, signal);
    await store.remove(objectName("data", ids[10] ?? zeroObjectId), {}, signal);
    let taken = 0;
    const reading = (async () => {
      for await (const piece of readDisk(vault, disk, {}, signal)) taken += piece.length;
    })();
    await expect(reading).rejects.toMatchObject({ code: "vault-corrupt", details: { reason: "missing" } });
    expect(taken).toBe(10 * chunk);
  });

  test("gives a stretch of zeros in one piece, whatever its length", async () => {
    const made = await makeVault({ kind: "none" });
    const content = Buffer.concat([new Uint8Array(1030 * chunk), prose("end", 10)]);
    const { disks } = await backUp(made, "web01", { os: content });
    const [disk] = disks;
    if (disk === undefined) throw new Error("no disk");
    const pieces = await collect(readDisk(made.vault, disk, {}, signal));
    expect(pieces.map(({ kind, offset, length }) => [kind, offset / chunk, length])).toEqual([
      ["zero", 0, 1024 * chunk],
      ["zero", 1024, 6 * chunk],
      ["data", 1030, 10],
    ]);
  });

  test("refuses a range that is not within the disk", async () => {
    const { vault, disk } = await longDisk();
    for (const range of [
      { fromByte: -1 },
      { toByte: disk.sizeBytes + 1 },
      { fromByte: 5, toByte: 4 },
      { fromByte: Number.NaN },
    ]) {
      await expect(collect(readDisk(vault, disk, range, signal))).rejects.toMatchObject({ code: "bad-input" });
    }
  });
});
