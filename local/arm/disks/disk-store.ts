/**
 * The bytes of the local region's disks and snapshots, on disk and never in memory: 32 TiB of sparse disks cost what was written to them.
 *
 * 1. A disk is a stack of layers; only the newest one is written. A snapshot is the stack of the layers that stood at its instant: taking it
 *    freezes the newest layer and lays an empty one over it, so that it costs nothing and happens at once.
 * 2. The difference between two snapshots of one disk is what the layers between them say, page by page: exact, with what was cleared.
 *    Nothing is compared.
 * 3. A layer is removed when nobody has it in a stack any more.
 * 4. What was written is there in the next life of the process, however this one ends. Which stacks there are is the owner's to remember.
 */
import { mkdir, readdir } from "node:fs/promises";
import { Layer, mapSuffix } from "./layer.ts";
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
    return new DiskStore(folder);
  }

  create(sizeBytes: number): Bytes {
    refuseUneven(sizeBytes);
    return { sizeBytes, layers: [this.#newLayer()] };
  }

  /** The snapshot, and the disk as it goes on. Happens at once: between two writes, never during one. */
  snapshot(disk: Bytes): { readonly snapshot: Bytes; readonly disk: Bytes } {
    const frozen = this.#newest(disk);
    const goesOn = { ...disk, layers: [...disk.layers, this.#newLayer()] };
    frozen.freeze();
    return { snapshot: disk, disk: goesOn };
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
    this.#newest(disk).write(offset, content);
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

  async hasLayers(): Promise<boolean> {
    return (await this.#kept()).length > 0;
  }

  /** Removes all layers but these: also those that an earlier life of the process left half made. */
  async keepOnly(layers: Iterable<string>): Promise<void> {
    const used = new Set(layers);
    await this.remove((await this.#kept()).filter((id) => !used.has(id)));
  }

  /** Removes layers that nobody has in a stack any more. */
  async remove(ids: Iterable<string>): Promise<void> {
    for (const id of ids) {
      const layer = this.#layer(id);
      this.#layers.delete(id);
      await layer.remove();
    }
  }

  /** Lets the files go. */
  async close(): Promise<void> {
    for (const layer of this.#layers.values()) await layer.close();
  }

  async #kept(): Promise<string[]> {
    const maps = (await readdir(this.#folder)).filter((name) => name.endsWith(mapSuffix));
    return maps.map((name) => name.slice(0, -mapSuffix.length));
  }

  #newLayer(): string {
    const layer = Layer.create(this.#folder);
    this.#layers.set(layer.id, layer);
    return layer.id;
  }

  #stack({ layers }: Bytes): Layer[] {
    return layers.map((id) => this.#layer(id));
  }

  #layer(id: string): Layer {
    const layer = this.#layers.get(id) ?? Layer.reopen(this.#folder, id);
    this.#layers.set(id, layer);
    return layer;
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
