import { describe, expect, test } from "vitest";
import { readDisk } from "../../../../shared/operations/vault/read-disk.ts";
import type { DiskRef, ReadDiskOptions } from "../../../../shared/operations/vault/read-disk.ts";
import { openVault } from "../../../../shared/operations/vault/open-vault.ts";
import type { OpenVault } from "../../../../shared/operations/vault/open-vault.ts";
import {
  backUp,
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
