/**
 * A reader written from docs/vault-format.md alone. It imports nothing of the project, and must never do: it proves that the page is
 * enough, and that the code does what the page says.
 */
import { createDecipheriv, createHash, createHmac, hkdfSync, scryptSync } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";

const fixtures = join(import.meta.dirname, "../../fixtures/vaults");
const zeroId = "0".repeat(64);

interface Disk {
  readonly name: string;
  readonly sizeBytes: number;
  readonly index: string;
}

interface Point {
  readonly pointId: string;
  readonly disks: readonly Disk[];
}

type Json = Readonly<Record<string, never>> & Readonly<Record<string, unknown>>;

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${canonical(item)}`).join(",")}}`;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

class Reader {
  readonly #folder: string;
  readonly #vault: Json;
  readonly #epochs: readonly Readonly<Record<"id" | "content" | "manifest", Buffer>>[];

  constructor(folder: string, passphrase: string) {
    this.#folder = folder;
    this.#vault = JSON.parse(this.#read("vault.json").toString()) as Json;
    check(this.#vault["format"] === "farside-vault" && this.#vault["version"] === 1, "not a vault that I know");
    const dataKeys = this.#vault["encryption"] === "none" ? Buffer.alloc(0) : this.#openSlots(passphrase);
    const derive = (epoch: number, use: string): Buffer => {
      const dataKey = dataKeys.subarray(32 * epoch, 32 * epoch + 32);
      return Buffer.from(hkdfSync("sha256", dataKey, String(this.#vault["vaultId"]), `farside/v1/${use}`, 32));
    };
    this.#epochs = Array.from({ length: dataKeys.length / 32 }, (_, at) => ({
      id: derive(at, "id"),
      content: derive(at, "content"),
      manifest: derive(at, "manifest"),
    }));
  }

  #read(name: string): Buffer {
    return readFileSync(join(this.#folder, name));
  }

  #openSlots(passphrase: string): Buffer {
    for (const file of readdirSync(join(this.#folder, "keys"))) {
      const slot = JSON.parse(this.#read(`keys/${file}`).toString()) as {
        slotId: string;
        kdf: { n: number; r: number; p: number; salt: string };
        wrapped: { nonce: string; ciphertext: string };
      };
      const { n, r, p, salt } = slot.kdf;
      const options = { N: n, r, p, maxmem: 256 * 1024 * 1024 };
      const key = scryptSync(passphrase.normalize("NFC"), Buffer.from(salt, "base64"), 32, options);
      const sealed = Buffer.from(slot.wrapped.ciphertext, "base64");
      const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(slot.wrapped.nonce, "base64"));
      decipher.setAAD(Buffer.from(`${String(this.#vault["vaultId"])}/${slot.slotId}`));
      decipher.setAuthTag(sealed.subarray(-16));
      return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
    }
    throw new Error("no slot");
  }

  #document(name: string): Json {
    const bytes = this.#read(name);
    const document = JSON.parse(bytes.toString()) as Json;
    check(canonical(document) === bytes.toString(), `${name} is not canonical`);
    const { mac, ...rest } = document;
    const key = this.#epochs[Number(rest["keyEpoch"] ?? 0)];
    const hash = key === undefined ? createHash("sha256") : createHmac("sha256", key.manifest);
    check(hash.update(canonical(rest)).digest("hex") === mac, `${name} has a wrong mac`);
    return document;
  }

  /** Of files, whose times say nothing: those with a right seal. */
  points(): readonly Point[] {
    return readdirSync(join(this.#folder, "restore-points")).flatMap((vmId) => {
      const ids = readdirSync(join(this.#folder, "restore-points", vmId)).toSorted();
      return ids.flatMap((pointId) => {
        const place = `restore-points/${vmId}/${pointId}`;
        if (existsSync(join(this.#folder, place, "tombstone.json"))) return [];
        const manifest = this.#document(`${place}/manifest.json`);
        check(manifest["vmId"] === vmId && manifest["pointId"] === pointId, `${place} is out of its place`);
        check(manifest["vaultId"] === this.#vault["vaultId"], `${place} is of another vault`);
        const seal = this.#document(`${place}/seal.json`);
        check(seal["manifestMac"] === manifest["mac"] && seal["pointId"] === pointId, `${place} is sealed wrongly`);
        const late =
          Date.parse(String(seal["manifestLastModified"])) - Date.parse(String(manifest["sessionStartedAt"]));
        return late > 24 * 3_600_000 ? [] : [{ pointId, disks: manifest["disks"] as unknown as readonly Disk[] }];
      });
    });
  }

  object(kind: number, id: string, plainBytes?: number): Buffer {
    const folder = kind === 1 ? "chunks" : "index";
    const bytes = this.#read(`${folder}/${id.slice(0, 2)}/${id}`);
    const encrypted = this.#vault["encryption"] !== "none";
    const flags = bytes.readUInt8(5);
    const plainLength = bytes.readUInt32LE(8);
    const key = this.#epochs[bytes.readUInt16LE(6)];
    check(bytes.toString("latin1", 0, 4) === "FSO1" && bytes.readUInt8(4) === kind, `${id} is no such object`);
    check(flags < 4 && flags >> 1 === Number(encrypted), `${id} has wrong flags`);
    check(plainBytes === undefined || plainBytes === plainLength, `${id} has a wrong length`);
    check(bytes.toString("hex", 24, 56) === id, `${id} is out of its place`);
    let payload = bytes.subarray(56, encrypted ? -16 : undefined);
    if (key !== undefined) {
      const objectKey = createHmac("sha256", key.content).update(Buffer.from(id, "hex")).digest();
      const decipher = createDecipheriv("aes-256-gcm", objectKey, bytes.subarray(12, 24));
      decipher.setAAD(bytes.subarray(0, 56));
      decipher.setAuthTag(bytes.subarray(-16));
      payload = Buffer.concat([decipher.update(payload), decipher.final()]);
    }
    const plain = (flags & 1) === 1 ? zstdDecompressSync(payload, { maxOutputLength: plainLength }) : payload;
    const hash = key === undefined ? createHash("sha256") : createHmac("sha256", key.id);
    check(plain.length === plainLength, `${id} is of another length`);
    check(hash.update(Buffer.of(kind)).update(plain).digest("hex") === id, `${id} has another content`);
    return plain;
  }

  disk({ sizeBytes, index }: Disk): Buffer {
    const disk = Buffer.alloc(sizeBytes);
    const root = this.object(3, index);
    check(root.toString("latin1", 0, 4) === "FSI1" && Number(root.readBigUInt64LE(4)) === sizeBytes, "wrong index");
    const chunkSize = root.readUInt32LE(12);
    const chunks = Math.ceil(sizeBytes / chunkSize);
    for (let s = 0; s < root.readUInt32LE(16); s++) {
      const segmentId = root.toString("hex", 20 + 32 * s, 52 + 32 * s);
      if (segmentId === zeroId) continue;
      const count = Math.min(1024, chunks - 1024 * s);
      const segment = this.object(2, segmentId, 8 + 32 * count);
      check(segment.toString("latin1", 0, 4) === "FSS1" && segment.readUInt32LE(4) === count, "wrong segment");
      for (let c = 0; c < count; c++) {
        const id = segment.toString("hex", 8 + 32 * c, 40 + 32 * c);
        const offset = (1024 * s + c) * chunkSize;
        if (id !== zeroId) this.object(1, id, Math.min(chunkSize, sizeBytes - offset)).copy(disk, offset);
      }
    }
    return disk;
  }
}

describe("A reader written from the format's page alone", () => {
  const expected = JSON.parse(readFileSync(join(fixtures, "expected.json"), "utf8")) as {
    passphrase: string;
    restorePoints: readonly Readonly<Record<string, { sizeBytes: number; sha256: string }>>[];
  };

  test.each(["tiny", "tiny-unencrypted"])("restores every disk of the vault %s byte for byte", (name) => {
    const reader = new Reader(join(fixtures, name), expected.passphrase);
    const restored = reader.points().map(({ disks }) =>
      Object.fromEntries(
        disks.map((disk) => {
          const content = reader.disk(disk);
          return [disk.name, { sizeBytes: content.length, sha256: createHash("sha256").update(content).digest("hex") }];
        }),
      ),
    );
    expect(restored).toEqual(expected.restorePoints);
  });

  test("reads nothing with another passphrase", () => {
    expect(() => new Reader(join(fixtures, "tiny"), `${expected.passphrase}!`)).toThrow(/unable to authenticate/);
  });
});
