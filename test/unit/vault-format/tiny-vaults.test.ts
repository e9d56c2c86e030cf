import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseVmId } from "../../../shared/core/ids.ts";
import { kindOfByte, parseObjectId } from "../../../shared/core/vault/object-id.ts";
import { isWhole } from "../../../shared/operations/vault/findings.ts";
import { readRestorePoints } from "../../../shared/operations/vault/list-restore-points.ts";
import { openVault } from "../../../shared/operations/vault/open-vault.ts";
import { readDisk } from "../../../shared/operations/vault/read-disk.ts";
import { readObject } from "../../../shared/operations/vault/read-object.ts";
import { verifyVault } from "../../../shared/operations/vault/verify-vault.ts";
import { makeTinyVault, tinyDisks, tinyExpected, tinyVaults, vaultsFolder } from "../../fixtures/make-vaults.ts";
import { loadVault, storeOf } from "../../fixtures/vaults/load.ts";
import { collect, passphrase, seededRandom, signal } from "../../support/vault/vault-fixture.ts";

const expected = JSON.parse(readFileSync(join(vaultsFolder, "expected.json"), "utf8")) as { readonly zstd: string };
const sameZstd = expected.zstd === process.versions["zstd"];

async function open(blobs: ReadonlyMap<string, Uint8Array>, encrypted: boolean) {
  const secret = encrypted ? { passphrase } : {};
  return openVault({ store: await storeOf(blobs), random: seededRandom("tests"), ...secret }, signal);
}

describe.each(tinyVaults)("The test vector $name", (tiny) => {
  const encrypted = tiny.encryption.kind !== "none";
  const committed = loadVault(tiny.name);

  test("holds exactly what its generator makes, byte for byte where zstd is of the same release", async () => {
    const made = await makeTinyVault(tiny);
    expect(Array.from(made.keys()).toSorted()).toEqual(Array.from(committed.keys()).toSorted());
    const digest = (content: Uint8Array | undefined) =>
      createHash("sha256")
        .update(content ?? "")
        .digest("hex");
    const digests = (blobs: ReadonlyMap<string, Uint8Array>) =>
      Object.fromEntries(Array.from(committed.keys(), (name) => [name, digest(blobs.get(name))]));
    expect(sameZstd ? digests(made) : digests(committed)).toEqual(digests(committed));
  });

  // With another release of zstd the packed bytes differ. The names are the ids of the plain content: that they are the same (above)
  // and that each decodes to its id (here) says that the content is.
  test("decodes from each of its objects the content that the name says", async () => {
    const vault = await open(committed, encrypted);
    const objects = Array.from(committed).filter(([name]) => /^(?:chunks|index)\//.test(name));
    for (const [name, content] of objects) {
      const kind = kindOfByte(content[4] ?? 0) ?? "data";
      const plain = await readObject(vault, kind, parseObjectId(name.slice(-64)), signal);
      expect(plain.length).toBeGreaterThan(0);
    }
    expect(objects.length).toBeGreaterThan(10);
  });

  test("restores the disks of both points, and is whole", async () => {
    const vault = await open(committed, encrypted);
    const points = await collect(readRestorePoints(vault, parseVmId("web01-0a1b"), signal));
    expect(points.map((point) => point.kind)).toEqual(["standing", "standing"]);
    for (const [at, point] of points.entries()) {
      if (point.kind !== "standing") throw new Error("not standing");
      for (const disk of point.manifest.disks) {
        const wanted = tinyDisks(at === 0 ? 0 : 1)[disk.name === "os" ? "os" : "data"];
        let next = 0;
        for await (const piece of readDisk(vault, disk, { parallelism: 3 }, signal)) {
          const found = piece.kind === "data" ? Buffer.from(piece.content) : Buffer.alloc(piece.length);
          expect(piece.offset).toBe(next);
          expect(found.equals(wanted.subarray(next, next + piece.length))).toBe(true);
          next += piece.length;
        }
        expect(next).toBe(disk.sizeBytes);
      }
    }
    const report = await verifyVault(vault, { readData: true }, signal);
    expect(report.findings).toEqual([]);
    expect(isWhole(report)).toBe(true);
    expect(report.checked).toMatchObject({ vms: 1, restorePoints: 2, disks: 4, segments: 3, chunks: 6, readChunks: 6 });
  });
});

test("The vectors' table of expected disks is what the generator says", () => {
  expect({ ...expected, zstd: "" }).toEqual({ ...(tinyExpected() as object), zstd: "" });
});

test("The vectors together stay below 300 KiB", () => {
  const sizes = tinyVaults.flatMap((tiny) => Array.from(loadVault(tiny.name).values(), (content) => content.length));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(300 * 1024);
});
