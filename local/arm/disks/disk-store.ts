/**
 * The bytes of the local region's disks and snapshots, on disk and never in memory: 32 TiB of sparse disks cost what was written to them.
 *
 * 1. A disk is a stack of layers; only the newest one is written. A snapshot is the stack of the layers that stood at its instant: taking it
 *    freezes the newest layer and lays an empty one over it, so that it costs nothing and happens at once.
 * 2. The difference between two snapshots of one disk is what the layers between them say, page by page: exact, with what was cleared.
 *    Nothing is compared.
 * 3. A layer is removed when nobody has it in a stack any more.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Layer, type LayerRecord } from "./layer.ts";
import { laidOver, pageBytes, type ToldRange } from "./page-map.ts";

/** A disk, or a snapshot of one: which of the two only the owner knows. */
export interface Bytes {
  /** A multiple of a page. A disk may grow. */
  readonly sizeBytes: number;
  /** From the oldest to the newest. */
  readonly layers: readonly string[];
}

export class DiskStore {
  readonly #folder: string;
  readonly #layers = new Map<string, Layer>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(folder: string): Promise<DiskStore> {
    await mkdir(folder, { recursive: true });
    const store = new DiskStore(folder);
    const text = await readFile(store.#mapFile, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "[]";
      throw error;
    });
    for (const record of JSON.parse(text) as readonly LayerRecord[]) {
      store.#layers.set(record.id, new Layer(folder, record));
    }
    return store;
  }

  create(sizeBytes: number): Bytes {
    refuseUneven(sizeBytes);
    return { sizeBytes, layers: [this.#newLayer()] };
  }

  /** The snapshot, and the disk as it goes on. Happens at once: between two writes, never during one. */
  snapshot(disk: Bytes): { readonly snapshot: Bytes; readonly disk: Bytes } {
    return { snapshot: disk, disk: { ...disk, layers: [...disk.layers, this.#newLayer()] } };
  }

  /** A new disk with the content of a snapshot. */
  copyOf(snapshot: Bytes, sizeBytes: number = snapshot.sizeBytes): Bytes {
    refuseUneven(sizeBytes);
    if (sizeBytes < snapshot.sizeBytes) throw new RangeError("A copy is never smaller than its snapshot.");
    return { sizeBytes, layers: [...snapshot.layers, this.#newLayer()] };
  }

  /** Whole pages within the disk. */
  async write(disk: Bytes, offset: number, content: Uint8Array): Promise<void> {
    refuseOutside(disk, offset, content.length);
    await this.#newest(disk).write(offset, content);
  }

  clear(disk: Bytes, offset: number, length: number): void {
    refuseOutside(disk, offset, length);
    this.#newest(disk).clear(offset, length);
  }

  /** Any bytes within the disk. */
  async read(bytes: Bytes, offset: number, length: number): Promise<Uint8Array> {
    if (offset < 0 || offset + length > bytes.sizeBytes)
      throw new RangeError(`Bytes ${offset}+${length} are not in it.`);
    const content = new Uint8Array(length);
    // From the oldest on: what a newer layer says is written over it.
    for (const layer of this.#stack(bytes)) await layer.readOver(content, offset);
    return content;
  }

  /** Pages that were written and not cleared since: all others read as zeros. */
  allocated(bytes: Bytes, start: number, end: number): readonly ToldRange[] {
    return this.#said(bytes.layers, start, end).filter(({ kind }) => kind === "written");
  }

  /** What was written or cleared since an older snapshot of the same disk; undefined where it is not one. */
  changed(older: Bytes, newer: Bytes, start: number, end: number): readonly ToldRange[] | undefined {
    if (!older.layers.every((id, at) => newer.layers[at] === id)) return undefined;
    return this.#said(newer.layers.slice(older.layers.length), start, end);
  }

  /** Removes the layers that none of these has. */
  async keepOnly(all: Iterable<Bytes>): Promise<void> {
    const used = new Set([...all].flatMap(({ layers }) => layers));
    for (const [id, layer] of this.#layers) {
      if (used.has(id)) continue;
      this.#layers.delete(id);
      await layer.remove();
    }
  }

  /** Keeps the maps for the next life, and lets the files go. */
  async close(): Promise<void> {
    const records = [...this.#layers.values()].map(({ record }) => record);
    for (const layer of this.#layers.values()) await layer.close();
    await writeFile(this.#mapFile, JSON.stringify(records));
  }

  get #mapFile(): string {
    return join(this.#folder, "layers.json");
  }

  #newLayer(): string {
    const layer = new Layer(this.#folder);
    this.#layers.set(layer.id, layer);
    return layer.id;
  }

  #stack({ layers }: Bytes): Layer[] {
    return layers.map((id) => {
      const layer = this.#layers.get(id);
      if (layer === undefined) throw new Error(`There is no layer ${id}.`);
      return layer;
    });
  }

  #newest(disk: Bytes): Layer {
    const newest = this.#stack(disk).at(-1);
    if (newest === undefined) throw new Error("A disk has at least one layer.");
    return newest;
  }

  #said(layers: readonly string[], start: number, end: number): readonly ToldRange[] {
    const maps = this.#stack({ sizeBytes: 0, layers }).map(({ pages }) => pages);
    return laidOver(maps, start, end);
  }
}

function refuseUneven(sizeBytes: number): void {
  if (sizeBytes % pageBytes !== 0 || sizeBytes <= 0) throw new RangeError(`${sizeBytes} bytes are no whole pages.`);
}

function refuseOutside(disk: Bytes, offset: number, length: number): void {
  if (offset % pageBytes !== 0 || length % pageBytes !== 0) throw new RangeError("Pages are written whole.");
  if (offset < 0 || offset + length > disk.sizeBytes) throw new RangeError(`Bytes ${offset}+${length} are not in it.`);
}
