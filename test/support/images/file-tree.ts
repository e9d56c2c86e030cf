/** All that lies below a folder, as text that can be compared: one line a path. As a reader shows it, and as the machine's own kernel does. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import type { FileSystem, NodeId } from "../../../shared/ports/file-system.ts";
import { decodeFileName } from "../../../shared/images/file-name.ts";

/** Path → kind, and of a file its size and SHA-256, of a link its target. */
export type FileTree = ReadonlyMap<string, string>;

/** Extents must cover each file without gaps, and stretches that are called holes must be read as zeros. */
export async function imageTree(fileSystem: FileSystem, signal: AbortSignal): Promise<FileTree> {
  const tree = new Map<string, string>();
  const waiting: { path: string; node: NodeId }[] = [{ path: "", node: fileSystem.root }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for await (const entry of fileSystem.list(next.node, signal)) {
      const path = `${next.path}/${entry.name}`;
      const stat = await fileSystem.stat(entry.node, signal);
      if (entry.kind !== undefined && entry.kind !== stat.kind) throw new Error(`${path} is a ${stat.kind} by stat`);
      if (tree.has(path)) throw new Error(`${path} is listed twice`);
      if (stat.kind === "directory") waiting.push({ path, node: entry.node });
      if (stat.kind === "file") {
        tree.set(path, `file ${stat.sizeBytes} ${await contentHash(fileSystem, entry.node, stat.sizeBytes, signal)}`);
      } else if (stat.kind === "link") tree.set(path, `link ${await fileSystem.readLink(entry.node, signal)}`);
      else tree.set(path, stat.kind);
    }
  }
  return tree;
}

export async function folderTree(folder: string): Promise<FileTree> {
  const tree = new Map<string, string>();
  const root = Buffer.from(folder);
  const waiting = [Buffer.alloc(0)];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const name of await readdir(Buffer.concat([root, path]), { encoding: "buffer" })) {
      const inner = Buffer.concat([path, Buffer.from("/"), name]);
      const full = Buffer.concat([root, inner]);
      const shown = decodeFileName(inner);
      const stat = await lstat(full);
      if (stat.isDirectory()) {
        waiting.push(inner);
        tree.set(shown, "directory");
      } else if (stat.isSymbolicLink()) tree.set(shown, `link ${await readlink(full)}`);
      else tree.set(shown, `file ${stat.size} ${await fileHash(full)}`);
    }
  }
  return tree;
}

/** Zeros count as their length only, in whole MiB, so that sparse files of many GiB are compared in no time. */
class ContentHash {
  readonly #hash = createHash("sha256");
  #zeros = 0;

  add(bytes: Uint8Array): void {
    if (bytes.every((byte) => byte === 0)) this.addZeros(bytes.length);
    else {
      this.#flush();
      this.#hash.update(bytes);
    }
  }

  addZeros(length: number): void {
    this.#zeros += length;
  }

  end(): string {
    this.#flush();
    return this.#hash.digest("hex");
  }

  #flush(): void {
    if (this.#zeros > 0) this.#hash.update(`zeros:${this.#zeros}`);
    this.#zeros = 0;
  }
}

const blockBytes = 4096;

/** Cuts whatever comes at the same places. */
class BlockHash {
  readonly #content = new ContentHash();
  readonly #block = new Uint8Array(blockBytes);
  #filled = 0;

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const taken = Math.min(blockBytes - this.#filled, bytes.length - at);
      this.#block.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === blockBytes) this.#flush();
    }
  }

  addZeros(length: number): void {
    const first = Math.min(length, (blockBytes - this.#filled) % blockBytes);
    this.add(new Uint8Array(first));
    const rest = (length - first) % blockBytes;
    if (length - first - rest > 0) this.#content.addZeros(length - first - rest);
    this.add(new Uint8Array(rest));
  }

  end(): string {
    if (this.#filled > 0) this.#content.add(this.#block.slice(0, this.#filled));
    return this.#content.end();
  }

  #flush(): void {
    this.#content.add(this.#block.slice());
    this.#filled = 0;
  }
}

async function contentHash(
  fileSystem: FileSystem,
  node: NodeId,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const hash = new BlockHash();
  let at = 0;
  for await (const piece of fileSystem.read(node, { offset: 0, length: Number.MAX_SAFE_INTEGER }, signal)) {
    if (piece.offset !== at || piece.length <= 0) throw new Error(`A piece at ${piece.offset} follows on ${at}`);
    at += piece.length;
    if (piece.kind === "zero") hash.addZeros(piece.length);
    else if (piece.content.length === piece.length && piece.length <= 1024 * 1024) hash.add(piece.content);
    else throw new Error(`A piece of ${piece.length} bytes has ${piece.content.length}`);
  }
  if (at !== sizeBytes) throw new Error(`${at} bytes were read of ${sizeBytes}`);
  let covered = 0;
  for await (const extent of fileSystem.extents(node, signal)) {
    if (extent.offset !== covered || extent.length <= 0)
      throw new Error(`An extent at ${extent.offset} after ${covered}`);
    covered += extent.length;
  }
  if (covered !== sizeBytes) throw new Error(`The extents cover ${covered} bytes of ${sizeBytes}`);
  return hash.end();
}

async function fileHash(path: Buffer): Promise<string> {
  const hash = new BlockHash();
  for await (const bytes of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.add(bytes as Uint8Array);
  return hash.end();
}
