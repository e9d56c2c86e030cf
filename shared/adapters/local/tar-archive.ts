import type { TarEntry } from "../../core/files/tar-header.ts";
import { tarEnd, tarHeader, tarPadding } from "../../core/files/tar-header.ts";
import type { TargetNames } from "../../core/files/target-name.ts";
import type { ArchiveFacts, ArchiveWriter, Attributes, ByteSink } from "../../ports/archive-writer.ts";
import type { FilePiece } from "../../ports/file-system.ts";

const zeros = new Uint8Array(64 * 1024);

/** A tar archive in the pax format; see core/files/tar-header.ts. */
export class TarArchive implements ArchiveWriter {
  readonly holds = { hardLinks: true, attributes: true };
  /** A pax path may be as long as it likes. */
  readonly names: TargetNames = { rules: "posix", ignoresCase: false, bytesOf: () => 0 };
  readonly #sink: ByteSink;
  readonly #encodeName: (name: string) => Uint8Array;

  constructor(sink: ByteSink, encodeName: (name: string) => Uint8Array) {
    this.#sink = sink;
    this.#encodeName = encodeName;
  }

  async addDirectory(path: readonly string[], facts: ArchiveFacts, attributes: Attributes): Promise<void> {
    await this.#header("directory", path, facts, { attributes });
  }

  async addFile(
    path: readonly string[],
    sizeBytes: number,
    pieces: AsyncIterable<FilePiece>,
    facts: ArchiveFacts,
    attributes: Attributes,
  ): Promise<void> {
    await this.#header("file", path, facts, { sizeBytes, attributes });
    for await (const piece of pieces) {
      if (piece.kind === "data") await this.#sink(piece.content);
      else await this.#zeros(piece.length);
    }
    await this.#zeros(tarPadding(sizeBytes));
  }

  async addHardLink(path: readonly string[], existing: readonly string[], facts: ArchiveFacts): Promise<void> {
    await this.#header("hard-link", path, facts, { target: this.#encode(existing) });
  }

  async addLink(path: readonly string[], text: string, facts: ArchiveFacts): Promise<void> {
    await this.#header("link", path, facts, { target: this.#encodeName(text) });
  }

  async end(): Promise<void> {
    await this.#sink(tarEnd);
  }

  async #header(
    kind: TarEntry["kind"],
    path: readonly string[],
    { mode, uid, gid, modifiedNs }: ArchiveFacts,
    more: Partial<Pick<TarEntry, "sizeBytes" | "target" | "attributes">>,
  ): Promise<void> {
    await this.#sink(tarHeader({ kind, path: this.#encode(path), sizeBytes: 0, mode, uid, gid, modifiedNs, ...more }));
  }

  async #zeros(length: number): Promise<void> {
    for (let left = length; left > 0; left -= zeros.length) {
      await this.#sink(zeros.subarray(0, Math.min(left, zeros.length)));
    }
  }

  #encode(path: readonly string[]): Uint8Array {
    const parts = path.flatMap((name, index) => [Buffer.from(index === 0 ? "" : "/"), this.#encodeName(name)]);
    return Buffer.concat(parts);
  }
}
