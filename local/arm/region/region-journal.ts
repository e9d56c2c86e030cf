/**
 * The resources of the local region as they are kept: a file of lines, each with all that one request changed, after its CRC-32.
 *
 * 1. A change is appended whole, by one call, before its answer goes out: after a kill it is there or it is not. The last line may be half
 *    there (a full disk); it was never answered, and is left out.
 * 2. A line that is wrong anywhere else is damage, and nothing is started on it.
 * 3. When most of the file speaks of what was changed since, it is written anew: whole, beside the old one, and put in its place.
 */
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { z } from "zod";
import type { Change, Resource } from "../resources.ts";

const shape = z.object({ id: z.string(), type: z.string(), body: z.record(z.string(), z.unknown()) });
/** Kept as it is: what else a resource has is its handlers' own. */
const resourceSchema = z.custom<Resource>((value) => shape.safeParse(value).success);
const lineSchema = z.object({ put: z.array(resourceSchema), removed: z.array(z.string()) });

const head = "farside-local-region 1\n";
/** Beyond this, and twice what it began with, the file is written anew. */
const tolerableBytes = 4 * 1024 * 1024;

export class RegionJournal {
  readonly #path: string;
  #file: number | undefined;
  #sizeBytes = 0;
  #firstBytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** In the order of their making; undefined where there is no journal yet. Throws for a file that is damaged. */
  read(): readonly Resource[] | undefined {
    if (!existsSync(this.#path)) return undefined;
    const found = new Map<string, Resource>();
    const text = readFileSync(this.#path, "utf8");
    if (!text.startsWith(head)) throw new Error(`${this.#path} is not the journal of a local region.`);
    const lines = text.slice(head.length).split("\n");
    for (const [at, line] of lines.entries()) {
      // After the last line break there is nothing, or half a line.
      if (at === lines.length - 1) break;
      const { put, removed } = this.#parse(line, at);
      for (const id of removed) found.delete(id);
      for (const resource of put) found.set(resource.id.toLowerCase(), resource);
    }
    return [...found.values()];
  }

  /** The file anew, with these alone. */
  rewrite(resources: readonly Resource[]): void {
    const text = head + resources.map((one) => lineOf({ put: [one], removed: [] })).join("");
    const file = openSync(`${this.#path}.new`, "w", 0o600);
    writeAll(file, Buffer.from(text), 0);
    renameSync(`${this.#path}.new`, this.#path);
    this.close();
    this.#file = file;
    this.#firstBytes = this.#sizeBytes = Buffer.byteLength(text);
  }

  /** @param all of the region, for when the file is written anew. */
  append(change: Change, all: () => readonly Resource[]): void {
    if (this.#file === undefined) throw new Error("The journal of the region is not open.");
    const line = Buffer.from(lineOf(change));
    try {
      writeAll(this.#file, line, this.#sizeBytes);
    } catch (error) {
      ftruncateSync(this.#file, this.#sizeBytes);
      throw error;
    }
    this.#sizeBytes += line.length;
    if (this.#sizeBytes > tolerableBytes + 2 * this.#firstBytes) this.rewrite(all());
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #parse(line: string, at: number) {
    const text = line.slice(9);
    if (line.slice(0, 9) === `${checkOf(text)} `) return lineSchema.parse(JSON.parse(text));
    throw new Error(`${this.#path} is damaged at line ${at + 2}: put the folder aside and start a new region.`);
  }
}

function lineOf(change: Change): string {
  const text = JSON.stringify(change);
  return `${checkOf(text)} ${text}\n`;
}

const checkOf = (text: string): string => crc32(text).toString(16).padStart(8, "0");

function writeAll(file: number, bytes: Uint8Array, place: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done, place + done);
}
