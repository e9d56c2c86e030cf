/**
 * All that a local region keeps in its folder: its resources (`region.journal`) and the bytes of its disks (`disks/`).
 *
 * 1. What a request changed is kept before its answer goes out, all of it or nothing.
 * 2. Of what was under way when the process ended, nothing goes on: operations are forgotten (their status is 404), SAS have ended, and what
 *    was being made or changed is `Failed`, as the platform calls a resource whose operation did not end well.
 * 3. Layers that no resource has are removed: when the last one that had them goes, and at the start. Without a journal nothing is removed: it
 *    is written before the first layer.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DiskStore } from "../disks/disk-store.ts";
import { layersOf, propertiesOf, type Resource, Resources } from "../resources.ts";
import { RegionJournal } from "./region-journal.ts";

export class Region {
  readonly resources: Resources;
  readonly store: DiskStore;
  readonly #journal: RegionJournal;

  private constructor(resources: Resources, store: DiskStore, journal: RegionJournal) {
    this.resources = resources;
    this.store = store;
    this.#journal = journal;
  }

  /** Made where there is none. One process at a time: the caller sees to that. */
  static async open(folder: string): Promise<Region> {
    mkdirSync(folder, { recursive: true });
    const store = await DiskStore.open(join(folder, "disks"));
    const journal = new RegionJournal(join(folder, "region.journal"));
    const found = journal.read();
    if (found === undefined && (await store.hasLayers())) {
      throw new Error(
        `${folder} has disks but no region.journal, which says whose they are: nothing of it is touched.`,
      );
    }
    const kept = (found ?? []).map(ended);
    journal.rewrite(kept);
    await store.keepOnly(kept.flatMap(layersOf));
    return new Region(new Resources(kept), store, journal);
  }

  /** Keeps what has changed since the last time. The change is kept when this returns; the promise is of room made free. */
  async commit(): Promise<void> {
    const { change, released, done } = this.resources.changes();
    if (change === undefined) return;
    this.#journal.append(change, () => this.resources.all());
    done();
    if (released.length === 0) return;
    const used = new Set(this.resources.all().flatMap(layersOf));
    await this.store.remove(released.filter((id) => !used.has(id)));
  }

  async close(): Promise<void> {
    await this.commit();
    this.#journal.close();
    await this.store.close();
  }
}

const underWay = new Set(["Creating", "Updating", "Deleting"]);

function ended(resource: Resource): Resource {
  const properties = propertiesOf(resource);
  if (!underWay.has(String(properties["provisioningState"]))) return resource;
  return { ...resource, body: { ...resource.body, properties: { ...properties, provisioningState: "Failed" } } };
}
