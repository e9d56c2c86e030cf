/**
 * What was written to a disk between two snapshots. The bytes go to the end of a file, one write after the other, and a map says where
 * those of each page are: so a disk of 32 TiB needs no file of 32 TiB, which few file systems can hold.
 */
import { randomUUID } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { PageMap, type PageRange } from "./page-map.ts";

/** A layer as it is kept between two lives of the process. */
export interface LayerRecord {
  readonly id: string;
  readonly fileBytes: number;
  readonly ranges: readonly PageRange[];
}

export class Layer {
  readonly id: string;
  readonly pages: PageMap;
  readonly #path: string;
  #fileBytes: number;
  #file: Promise<FileHandle> | undefined;

  constructor(folder: string, record: LayerRecord = { id: randomUUID(), fileBytes: 0, ranges: [] }) {
    this.id = record.id;
    this.pages = new PageMap(record.ranges);
    this.#path = join(folder, `${this.id}.layer`);
    this.#fileBytes = record.fileBytes;
  }

  get record(): LayerRecord {
    return { id: this.id, fileBytes: this.#fileBytes, ranges: this.pages.ranges };
  }

  /** The pages change when the bytes are there. */
  async write(offset: number, content: Uint8Array): Promise<void> {
    const keptAt = this.#fileBytes;
    this.#fileBytes += content.length;
    const file = await this.#open();
    for (let done = 0; done < content.length;) {
      done += (await file.write(content, done, content.length - done, keptAt + done)).bytesWritten;
    }
    this.pages.set({ start: offset, end: offset + content.length, keptAt });
  }

  clear(offset: number, length: number): void {
    this.pages.set({ start: offset, end: offset + length, keptAt: undefined });
  }

  /** Lays this layer's pages of the range over what `target` holds, which begins at `offset` of the disk. */
  async readOver(target: Uint8Array, offset: number): Promise<void> {
    for (const { start, end, keptAt } of this.pages.within(offset, offset + target.length)) {
      const part = target.subarray(start - offset, end - offset);
      if (keptAt === undefined) part.fill(0);
      else await this.#readKept(part, keptAt);
    }
  }

  async close(): Promise<void> {
    await (await this.#file)?.close();
    this.#file = undefined;
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.#path, { force: true });
  }

  async #readKept(target: Uint8Array, keptAt: number): Promise<void> {
    const file = await this.#open();
    for (let done = 0; done < target.length;) {
      const { bytesRead } = await file.read(target, done, target.length - done, keptAt + done);
      if (bytesRead === 0) throw new Error(`The file of layer ${this.id} ends before byte ${keptAt + target.length}.`);
      done += bytesRead;
    }
  }

  #open(): Promise<FileHandle> {
    this.#file ??= open(this.#path, "a").then(async (made) => {
      await made.close();
      return open(this.#path, "r+");
    });
    return this.#file;
  }
}
