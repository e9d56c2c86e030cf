/**
 * A zip archive as a stream; see core/files/zip-records.ts. It holds modes, owners and links, but neither hard links nor extended
 * attributes.
 *
 * Its list of contents comes last: memory grows by about 150 bytes and the path for each entry.
 */
import { Readable } from "node:stream";
import { crc32, createDeflateRaw, deflateRawSync } from "node:zlib";
import { FarsideError } from "../../core/errors.ts";
import { fileTimeMs } from "../../core/files/file-time.ts";
import type { TargetNames } from "../../core/files/target-name.ts";
import type { ZipContent, ZipEntry } from "../../core/files/zip-records.ts";
import {
  centralHeader,
  dataDescriptor,
  endRecords,
  localHeader,
  maxZipPathBytes,
} from "../../core/files/zip-records.ts";
import type { ArchiveFacts, ArchiveWriter, Attributes, ByteSink } from "../../ports/archive-writer.ts";
import type { FilePiece } from "../../ports/file-system.ts";
import { ByteList } from "./byte-list.ts";

/** What is shorter is compressed at once, in memory: a stream for each file costs more than most files do. */
const streamedFromBytes = 128 * 1024;
/** Below 2^32, since deflate makes what it cannot compress longer, by 5 bytes for each 16 KiB (zlib's deflateBound). */
const largeFromBytes = 0xf000_0000;
/** Node's default of 16 KiB makes a write of each. */
const deflatedPartBytes = 256 * 1024;
const zeros = new Uint8Array(64 * 1024);

export class ZipArchive implements ArchiveWriter {
  readonly holds = { hardLinks: false, attributes: false };
  readonly names: TargetNames = { rules: "zip", ignoresCase: false, bytesOf: () => 0 };
  readonly #sink: ByteSink;
  readonly #central = new ByteList();
  #entries = 0;
  #offset = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  async addDirectory(path: readonly string[], facts: ArchiveFacts, _attributes: Attributes): Promise<void> {
    await this.#whole(entryOf("directory", [...path, ""], facts), new Uint8Array());
  }

  async addFile(
    path: readonly string[],
    sizeBytes: number,
    pieces: AsyncIterable<FilePiece>,
    facts: ArchiveFacts,
    _attributes: Attributes,
  ): Promise<void> {
    const entry = { ...entryOf("file", path, facts), isLarge: sizeBytes >= largeFromBytes };
    if (sizeBytes >= streamedFromBytes) return this.#streamed({ ...entry, isDeflated: true, isStreamed: true }, pieces);
    const parts: Uint8Array[] = [];
    for await (const part of bytesOf(pieces)) parts.push(part);
    return this.#whole({ ...entry, isDeflated: sizeBytes > 0 }, Buffer.concat(parts));
  }

  addHardLink(): Promise<void> {
    return Promise.reject(new FarsideError("internal", "A zip archive holds no hard links."));
  }

  async addLink(path: readonly string[], text: string, facts: ArchiveFacts): Promise<void> {
    await this.#whole(entryOf("link", path, facts), Buffer.from(text));
  }

  async end(): Promise<void> {
    const offset = this.#offset;
    const bytes = this.#central.length;
    for (const part of this.#central.parts()) await this.#send(part);
    await this.#send(endRecords(this.#entries, bytes, offset));
  }

  async #whole(entry: ZipEntry, plain: Uint8Array): Promise<void> {
    const stored = entry.isDeflated ? deflateRawSync(plain) : plain;
    const content = { crc32: crc32(plain), storedBytes: stored.length, plainBytes: plain.length };
    const begin = this.#offset;
    await this.#send(localHeader(entry, content));
    await this.#send(stored);
    this.#list(entry, content, begin);
  }

  async #streamed(entry: ZipEntry, pieces: AsyncIterable<FilePiece>): Promise<void> {
    const begin = this.#offset;
    await this.#send(localHeader(entry));
    const start = this.#offset;
    const counted = { sum: 0, bytes: 0 };
    const source = Readable.from(summed(pieces, counted), { objectMode: false });
    const deflate = createDeflateRaw({ chunkSize: deflatedPartBytes });
    source.on("error", (error) => deflate.destroy(error));
    try {
      for await (const part of source.pipe(deflate)) await this.#send(Buffer.from(part));
    } finally {
      source.destroy();
    }
    const content = { crc32: counted.sum, storedBytes: this.#offset - start, plainBytes: counted.bytes };
    await this.#send(dataDescriptor(entry, content));
    this.#list(entry, content, begin);
  }

  #list(entry: ZipEntry, content: ZipContent, begin: number): void {
    this.#central.add(centralHeader(entry, content, begin));
    this.#entries += 1;
  }

  async #send(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    await this.#sink(bytes);
    this.#offset += bytes.length;
  }
}

function entryOf(
  kind: ZipEntry["kind"],
  names: readonly string[],
  { mode, uid, gid, modifiedNs }: ArchiveFacts,
): ZipEntry {
  const path = Buffer.from(names.join("/"));
  if (path.length > maxZipPathBytes) {
    throw new FarsideError(
      "not-supported",
      `A zip archive holds no path of more than ${maxZipPathBytes} bytes: use --tar.`,
    );
  }
  const modifiedMs = fileTimeMs(modifiedNs);
  return { kind, path, mode, uid, gid, modifiedMs, isDeflated: false, isStreamed: false, isLarge: false };
}

async function* summed(
  pieces: AsyncIterable<FilePiece>,
  counted: { sum: number; bytes: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const part of bytesOf(pieces)) {
    counted.sum = crc32(part, counted.sum);
    counted.bytes += part.length;
    yield part;
  }
}

async function* bytesOf(pieces: AsyncIterable<FilePiece>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    if (piece.kind === "data") yield piece.content;
    else
      for (let left = piece.length; left > 0; left -= zeros.length)
        yield zeros.subarray(0, Math.min(left, zeros.length));
  }
}
