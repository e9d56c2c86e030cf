/**
 * The resources of the local region by their ARM ids, which do not tell upper case from lower. A resource is its JSON as ARM gives it, and,
 * for disks and what is made of them, its bytes.
 */
import type { BackgroundCopy } from "./disks/background-copy.ts";
import type { Bytes } from "./disks/disk-store.ts";
import { ServiceError } from "./service-error.ts";

export type Json = Readonly<Record<string, unknown>>;

export interface Resource {
  readonly id: string;
  /** `Microsoft.Compute/disks` and so on. */
  readonly type: string;
  readonly body: Json;
  /** Of disks, snapshots and disk restore points; the footer of the VHD is part of them. */
  readonly bytes?: Bytes;
  /** Of those that belong to a trusted-launch VM's OS disk. */
  readonly guestState?: Bytes;
  /** Of a snapshot or disk restore point that is still being copied. */
  readonly copy?: BackgroundCopy;
}

/** What became of resources between two moments. */
export interface Change {
  readonly put: readonly Resource[];
  /** Ids in lower case; what was made anew since is among `put` too. */
  readonly removed: readonly string[];
}

export class Resources {
  readonly #byId: Map<string, Resource>;
  readonly #changed = new Set<string>();
  readonly #removed = new Set<string>();
  readonly #released = new Set<string>();

  constructor(resources: readonly Resource[] = []) {
    this.#byId = new Map(resources.map((one) => [one.id.toLowerCase(), one]));
  }

  get(id: string): Resource | undefined {
    return this.#byId.get(id.toLowerCase());
  }

  /** Throws ARM's 404. */
  require(id: string): Resource {
    const found = this.get(id);
    if (found !== undefined) return found;
    const [name = "", kind = ""] = id.split("/").toReversed();
    throw new ServiceError(404, "ResourceNotFound", `The Resource '${kind}/${name}' was not found: ${id}.`);
  }

  put(resource: Resource): Resource {
    const key = resource.id.toLowerCase();
    this.#byId.set(key, resource);
    this.#changed.add(key);
    return resource;
  }

  /** Its properties changed, the rest as it was. */
  change(id: string, properties: Json): Resource {
    const before = this.require(id);
    return this.put({ ...before, body: { ...before.body, properties: { ...propertiesOf(before), ...properties } } });
  }

  remove(id: string): void {
    const key = id.toLowerCase();
    const resource = this.#byId.get(key);
    for (const layer of resource === undefined ? [] : layersOf(resource)) this.#released.add(layer);
    this.#byId.delete(key);
    this.#changed.delete(key);
    this.#removed.add(key);
  }

  /** What was changed since `done` was called last, and the layers of disks that were removed. */
  changes(): { readonly change?: Change; readonly released: readonly string[]; readonly done: () => void } {
    const released = [...this.#released];
    const done = (): void => {
      for (const set of [this.#changed, this.#removed, this.#released]) set.clear();
    };
    if (this.#changed.size + this.#removed.size === 0) return { released, done };
    const put = [...this.#changed].flatMap((key) => this.#byId.get(key) ?? []);
    return { change: { put, removed: [...this.#removed] }, released, done };
  }

  /** Those of a type below an id: a resource group, a subscription, a collection. In the order of their making. */
  below(scope: string, type: string): Resource[] {
    const start = `${scope.toLowerCase()}/`;
    return this.all().filter((one) => one.type === type && one.id.toLowerCase().startsWith(start));
  }

  all(): Resource[] {
    return [...this.#byId.values()];
  }
}

/** The layers of all the bytes that a resource has, under whatever name. */
export function layersOf(resource: Resource): readonly string[] {
  const { body: _, ...own } = resource;
  return Object.values(own).flatMap((part: unknown) => {
    const { layers } = asObject(part);
    return Array.isArray(layers) ? layers.map(String) : [];
  });
}

export function propertiesOf(resource: Resource): Json {
  return asObject(resource.body["properties"]);
}

export function asObject(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function asList(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(asObject) : [];
}

export function asText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function nameOf(id: string): string {
  return id.split("/").at(-1) ?? "";
}
