/**
 * What a file holds, named without reading it: a hash over the names of the chunks that its stretches lie in. Files with equal digests
 * have equal bytes; where digests differ the bytes may be equal all the same, since a chunk holds bytes of others too.
 *
 * Memory is bounded: names stream through the hash, stretches that go on where the last one ended are one.
 */
import { createHash, type Hash } from "node:crypto";
import type { BlockDevice } from "../../ports/block-device.ts";
import type { FileStat, FileSystem } from "../../ports/file-system.ts";

export interface ContentDigest {
  readonly digest: string;
  /** Bytes that lie in metadata or compressed, which only reading them can name. */
  readonly readBytes: number;
}

const zeros = Buffer.alloc(64 * 1024);

export async function contentDigest(
  fs: FileSystem,
  device: BlockDevice,
  { node }: FileStat,
  signal: AbortSignal,
): Promise<ContentDigest> {
  const names = new NameHash();
  let readBytes = 0;
  for await (const extent of fs.extents(node, signal)) {
    const { offset, length } = extent;
    switch (extent.kind) {
      case "hole":
        names.add("zero", 0, length);
        break;
      case "device":
        for await (const { name, at, length: bytes } of device.contentNames(extent.deviceOffset, length, signal)) {
          names.add(name, at, bytes);
        }
        break;
      case "encoded":
        names.add(`read:${await byteDigest(fs, node, { offset, length }, signal)}`, 0, length);
        readBytes += length;
        break;
      default:
        extent satisfies never;
    }
  }
  return { digest: names.end(), readBytes };
}

/** SHA-256 of the bytes themselves. */
export async function byteDigest(
  fs: FileSystem,
  node: number,
  range: { readonly offset: number; readonly length: number },
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of fs.read(node, range, signal)) {
    if (piece.kind === "data") hash.update(piece.content);
    else hashZeros(hash, piece.length);
  }
  return hash.digest("hex");
}

function hashZeros(hash: Hash, length: number): void {
  for (let left = length; left > 0; left -= zeros.length) hash.update(zeros.subarray(0, Math.min(left, zeros.length)));
}

class NameHash {
  readonly #hash = createHash("sha256");
  #name = "";
  #at = 0;
  #length = 0;

  add(name: string, at: number, length: number): void {
    const goesOn = name === this.#name && (name === "zero" || at === this.#at + this.#length);
    if (goesOn) {
      this.#length += length;
      return;
    }
    this.#write();
    this.#name = name;
    this.#at = name === "zero" ? 0 : at;
    this.#length = length;
  }

  end(): string {
    this.#write();
    return this.#hash.digest("hex");
  }

  #write(): void {
    if (this.#length > 0) this.#hash.update(`${this.#name} ${this.#at} ${this.#length}\n`);
    this.#length = 0;
  }
}
