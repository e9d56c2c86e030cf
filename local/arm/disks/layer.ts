/**
 * What was written to a disk between two snapshots. The bytes go to the end of a file, one write after the other, and a map says where
 * those of each page are: so a disk of 32 TiB needs no file of 32 TiB, which few file systems can hold.
 *
 * 1. A write has happened when it returns, and happens at once: no snapshot falls into the middle of one.
 * 2. A write that was answered is there after the process was killed: first its bytes go to the file, then its record to the map.
 * 3. A frozen layer never changes again.
 */
import { randomUUID } from "node:crypto";
import { closeSync, existsSync, openSync, statSync, writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { PageJournal } from "./page-journal.ts";
import type { PageMap } from "./page-map.ts";

export const mapSuffix = ".map";

export class Layer {
  readonly id: string;
  readonly #bytesPath: string;
  readonly #mapPath: string;
  readonly #journal: PageJournal;
  #pages: PageMap | undefined;
  /** Of the file of bytes: where the next ones go. */
  #fileBytes: number | undefined;
  #writing: number | undefined;
  #reading: Promise<FileHandle> | undefined;
  #isFrozen = false;

  private constructor(folder: string, id: string) {
    this.id = id;
    this.#bytesPath = join(folder, `${id}.layer`);
    this.#mapPath = join(folder, `${id}${mapSuffix}`);
    this.#journal = new PageJournal(this.#mapPath);
  }

  static create(folder: string): Layer {
    const layer = new Layer(folder, randomUUID());
    layer.#journal.create();
    return layer;
  }

  /** One of an earlier life of the process. Its map is read when it is first needed. */
  static reopen(folder: string, id: string): Layer {
    const layer = new Layer(folder, id);
    if (existsSync(layer.#mapPath)) return layer;
    throw new Error(`There is no layer ${id} in ${folder}.`);
  }

  get pages(): PageMap {
    this.#pages ??= this.#journal.read();
    return this.#pages;
  }

  /** No writes any more: a snapshot stands on it. */
  freeze(): void {
    this.#isFrozen = true;
    this.#closeWriting();
  }

  write(offset: number, content: Uint8Array): void {
    this.#refuseFrozen();
    const end = offset + content.length;
    const [standing, more] = [...this.pages.within(offset, end)];
    const isKept = more === undefined && standing?.keptAt !== undefined;
    // Pages that this layer keeps already are written in place: a guest that writes the same ones for ever needs no more room.
    if (isKept && standing.start === offset && standing.end === end) {
      this.#put(content, standing.keptAt);
      return;
    }
    const keptAt = this.#endOfFile();
    this.#put(content, keptAt);
    this.#fileBytes = keptAt + content.length;
    this.#say({ start: offset, end, keptAt });
  }

  clear(offset: number, length: number): void {
    this.#refuseFrozen();
    this.#say({ start: offset, end: offset + length, keptAt: undefined });
  }

  /** Lays this layer's pages of the range over what `target` holds, which begins at `offset` of the disk. */
  async readOver(target: Uint8Array, offset: number): Promise<void> {
    // All of them before the first wait: the map may change meanwhile.
    const ranges = [...this.pages.within(offset, offset + target.length)];
    for (const { start, end, keptAt } of ranges) {
      const part = target.subarray(start - offset, end - offset);
      if (keptAt === undefined) part.fill(0);
      else await this.#readKept(part, keptAt);
    }
  }

  async close(): Promise<void> {
    this.#closeWriting();
    const reading = this.#reading;
    this.#reading = undefined;
    await (await reading)?.close();
  }

  async remove(): Promise<void> {
    await this.close();
    // The bytes first: a map without them is found again, and removed, when the store is opened.
    await rm(this.#bytesPath, { force: true });
    await rm(this.#mapPath, { force: true });
  }

  #refuseFrozen(): void {
    if (this.#isFrozen) throw new Error(`The layer ${this.id} belongs to a snapshot and is not written any more.`);
  }

  #say(range: Parameters<PageMap["set"]>[0]): void {
    const { pages } = this;
    this.#journal.append(range);
    pages.set(range);
  }

  #endOfFile(): number {
    this.#fileBytes ??= statSync(this.#bytesPath, { throwIfNoEntry: false })?.size ?? 0;
    return this.#fileBytes;
  }

  #put(content: Uint8Array, place: number): void {
    this.#writing ??= openSync(this.#bytesPath, existsSync(this.#bytesPath) ? "r+" : "wx+");
    for (let done = 0; done < content.length;) {
      done += writeSync(this.#writing, content, done, content.length - done, place + done);
    }
  }

  #closeWriting(): void {
    this.#journal.close();
    if (this.#writing !== undefined) closeSync(this.#writing);
    this.#writing = undefined;
  }

  async #readKept(target: Uint8Array, keptAt: number): Promise<void> {
    this.#reading ??= open(this.#bytesPath, "r");
    const file = await this.#reading;
    for (let done = 0; done < target.length;) {
      const { bytesRead } = await file.read(target, done, target.length - done, keptAt + done);
      if (bytesRead === 0) throw new Error(`The file of layer ${this.id} ends before byte ${keptAt + target.length}.`);
      done += bytesRead;
    }
  }
}
