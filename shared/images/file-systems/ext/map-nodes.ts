/** The blocks of one file's map (indirect blocks, extent blocks), read one after the other on one walk. */
import { setImmediate } from "node:timers/promises";
import type { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { readBlock } from "./ext-volume.ts";

/** A walk through what is in the cache waits for nothing: so often it lets other work go on, that of who would abort it too. */
const nodesAtOnce = 256;

export class MapNodes {
  readonly volume: ExtVolume;
  readonly #where: string;
  #count = 0;

  /** `where` names the file in errors. */
  constructor(volume: ExtVolume, where: string) {
    this.volume = volume;
    this.#where = where;
  }

  /** Throws `image-corrupt` for more of them than the file system has blocks: a damaged map comes by the same one again and again. */
  async read(block: number, where: string, signal: AbortSignal): Promise<ByteView> {
    this.#count += 1;
    if (this.#count > this.volume.superblock.blocks) {
      throw imageCorrupt(this.#where, "its map has more nodes than the file system has blocks");
    }
    if (this.#count % nodesAtOnce === 0) await setImmediate();
    return readBlock(this.volume, block, where, signal);
  }
}
