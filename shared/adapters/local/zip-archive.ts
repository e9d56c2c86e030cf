import { Readable } from "node:stream";
import { ZipFile } from "yazl";
import { fileTimeMs } from "../../core/files/file-time.ts";
import type { TargetNames } from "../../core/files/target-name.ts";
import type { ArchiveFacts, ArchiveWriter, ByteSink } from "../../ports/archive-writer.ts";
import type { FilePiece } from "../../ports/file-system.ts";

/** The kinds of stat(2), which unzip reads from the upper half of a zip's external attributes. */
const kindBits = { file: 0o100000, directory: 0o040000, link: 0o120000 } as const;
const zeros = new Uint8Array(64 * 1024);

/**
 * A zip archive: UTF-8 names, modes, links, zip64 where sizes ask for it. It holds neither owners, hard links nor extended attributes.
 * Its list of contents comes last, so that memory grows with the number of entries (about 1 KiB each).
 */
export class ZipArchive implements ArchiveWriter {
  readonly holds = { hardLinks: false, attributes: false };
  readonly names: TargetNames = { rules: "zip", ignoresCase: false, bytesOf: () => 0 };
  readonly #zip = new ZipFile();
  readonly #pumped: Promise<void>;
  /** Of the file that is on its way. */
  #fail: ((error: unknown) => void) | undefined;
  #error: { readonly cause: unknown } | undefined;

  constructor(sink: ByteSink) {
    this.#pumped = pump(this.#zip, sink);
    // Whoever adds the next thing, or ends the archive, hears of it.
    this.#pumped.catch((error: unknown) => {
      this.#error = { cause: error };
      this.#fail?.(error);
    });
  }

  async addDirectory(path: readonly string[], facts: ArchiveFacts): Promise<void> {
    this.#zip.addEmptyDirectory(path.join("/"), optionsOf("directory", facts));
  }

  async addFile(
    path: readonly string[],
    sizeBytes: number,
    pieces: AsyncIterable<FilePiece>,
    facts: ArchiveFacts,
  ): Promise<void> {
    if (this.#error !== undefined) throw this.#error.cause;
    // What comes next waits for the end of this one: only one file is open at a time.
    await new Promise<void>((resolve, reject) => {
      const content = Readable.from(bytesOf(pieces, resolve), { objectMode: false });
      content.on("error", reject);
      this.#fail = (error) => {
        content.destroy();
        reject(error);
      };
      this.#zip.addReadStream(content, path.join("/"), { ...optionsOf("file", facts), size: sizeBytes });
    });
  }

  addHardLink(): Promise<void> {
    return Promise.reject(new Error("A zip archive holds no hard links."));
  }

  async addLink(path: readonly string[], text: string, facts: ArchiveFacts): Promise<void> {
    this.#zip.addBuffer(Buffer.from(text), path.join("/"), { ...optionsOf("link", facts), compress: false });
  }

  async end(): Promise<void> {
    this.#zip.end();
    await this.#pumped;
  }
}

function optionsOf(
  kind: keyof typeof kindBits,
  { mode, modifiedNs }: ArchiveFacts,
): { readonly mtime: Date; readonly mode: number } {
  return { mtime: new Date(fileTimeMs(modifiedNs)), mode: kindBits[kind] | (mode & 0o7777) };
}

async function pump(zip: ZipFile, sink: ByteSink): Promise<void> {
  const failed = new Promise<never>((_, reject) => zip.once("error", reject));
  const written = (async () => {
    for await (const chunk of zip.outputStream) await sink(Buffer.from(chunk));
  })();
  await Promise.race([written, failed]);
}

async function* bytesOf(
  pieces: AsyncIterable<FilePiece>,
  onEnd: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    if (piece.kind === "data") yield piece.content;
    else yield* zerosOf(piece.length);
  }
  onEnd();
}

function* zerosOf(length: number): Generator<Uint8Array, void, undefined> {
  for (let left = length; left > 0; left -= zeros.length) yield zeros.subarray(0, Math.min(left, zeros.length));
}
