/** What was announced in the log and not done by its end. The kernel does it when it mounts; this reader says so. */
import { imageCorrupt } from "../../../image-errors.ts";
import type { LogItem } from "./log-item.ts";
import { intentKinds, regionOf } from "./log-item.ts";

/** Open at once. Each has space reserved in the log, tens of kilobytes (xfs_trans_resv.c): a log of 2 GiB, the longest, has room for fewer. */
const maxIntents = 100_000;

export class Intents {
  readonly #open = new Map<string, string>();

  /** Whether the item was one of an intent. Throws `image-corrupt` for more of them than any log has room for. */
  note(item: LogItem): boolean {
    const kind = intentKinds.find(({ intent, done }) => intent === item.type || done === item.type);
    if (kind === undefined) return false;
    // All begin alike: type, size, four more bytes, and the id of the intent.
    const key = `${kind.intent}:${regionOf(item.regions, 0, "XFS log").big64le(8)}`;
    if (item.type === kind.done) this.#open.delete(key);
    else this.#open.set(key, kind.name);
    if (this.#open.size > maxIntents)
      throw imageCorrupt("XFS log", `it has more than ${maxIntents} unfinished intents`);
    return true;
  }

  /** How many there are of each name, of the visible or of the others. */
  unfinished(visible: boolean): string[] {
    const counts = new Map<string, number>();
    for (const name of this.#open.values()) {
      const kind = intentKinds.find((kind) => kind.name === name);
      if (kind?.visible === visible) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return [...counts].map(([name, count]) => `${count} ${name}`);
  }
}
