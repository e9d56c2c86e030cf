/**
 * A vault store in memory, for tests and simulation. It behaves as the service does where the rules lean on it: times in whole
 * seconds, an ETag that changes with every write and refresh, conditional creates, and nothing before the container is made.
 */
import { FarsideError } from "../../core/errors.ts";
import { timestamp } from "../../core/timestamp.ts";
import { corrupt } from "../../core/vault/corrupt.ts";
import type { VaultBlob, VaultBlobContent, VaultStore } from "../../ports/vault-store.ts";

interface Entry {
  readonly content: Uint8Array<ArrayBuffer>;
  readonly lastModifiedMs: number;
  readonly etag: string;
}

export class MemoryVaultStore implements VaultStore {
  readonly location: string;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  #container = false;
  #writes = 0;

  /** `now`: the service's clock, in milliseconds since 1970-01-01 UTC. */
  constructor(now: () => number, location = "memory://vault") {
    this.#now = now;
    this.location = location;
  }

  async createContainer(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#container = true;
  }

  async create(
    name: string,
    content: Uint8Array,
    signal: AbortSignal,
  ): Promise<{ kind: "created"; blob: VaultBlob } | { kind: "exists" }> {
    await this.#arrive(signal);
    if (this.#entries.has(name)) return { kind: "exists" };
    return { kind: "created", blob: this.#write(name, content) };
  }

  async put(name: string, content: Uint8Array, signal: AbortSignal): Promise<VaultBlob> {
    await this.#arrive(signal);
    return this.#write(name, content);
  }

  async read(name: string, maxBytes: number, signal: AbortSignal): Promise<VaultBlobContent | undefined> {
    await this.#arrive(signal);
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    if (entry.content.length > maxBytes) {
      const defect = { object: name, reason: "too-long", expected: maxBytes, found: entry.content.length } as const;
      throw corrupt(defect, `it has ${entry.content.length} bytes, and nothing of its kind more than ${maxBytes}`);
    }
    return { ...blobOf(name, entry), content: new Uint8Array(entry.content) };
  }

  async head(name: string, signal: AbortSignal): Promise<VaultBlob | undefined> {
    await this.#arrive(signal);
    const entry = this.#entries.get(name);
    return entry === undefined ? undefined : blobOf(name, entry);
  }

  async refresh(name: string, signal: AbortSignal): Promise<VaultBlob | undefined> {
    await this.#arrive(signal);
    const entry = this.#entries.get(name);
    return entry === undefined ? undefined : this.#write(name, entry.content);
  }

  /** Names as they were when it began; what has gone since is left out. A real listing promises no more. */
  async *list(prefix: string, signal: AbortSignal): AsyncIterable<VaultBlob> {
    await this.#arrive(signal);
    for (const name of this.#names(prefix)) {
      signal.throwIfAborted();
      const entry = this.#entries.get(name);
      if (entry !== undefined) yield blobOf(name, entry);
    }
  }

  async *listFolders(prefix: string, signal: AbortSignal): AsyncIterable<string> {
    await this.#arrive(signal);
    const folders = this.#names(prefix)
      .filter((name) => name.includes("/", prefix.length))
      .map((name) => name.slice(0, name.indexOf("/", prefix.length) + 1));
    yield* new Set(folders);
  }

  async remove(
    name: string,
    options: { readonly ifMatch?: string },
    signal: AbortSignal,
  ): Promise<"removed" | "absent" | "changed"> {
    await this.#arrive(signal);
    const entry = this.#entries.get(name);
    // The service answers 412 to a condition on a blob that is not there, not 404.
    if (options.ifMatch !== undefined && options.ifMatch !== entry?.etag) return "changed";
    if (entry === undefined) return "absent";
    this.#entries.delete(name);
    return "removed";
  }

  /** For tests: the bytes that stand there now. */
  contentOf(name: string): Uint8Array<ArrayBuffer> | undefined {
    const entry = this.#entries.get(name);
    return entry === undefined ? undefined : new Uint8Array(entry.content);
  }

  /** For tests: all names, in order. */
  names(): readonly string[] {
    return this.#names("");
  }

  /** Every request costs a turn of the event loop, so that callers meet each other as they do at a real service. */
  async #arrive(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await Promise.resolve();
    if (this.#container) return;
    throw new FarsideError(
      "not-found",
      `There is no container ${this.location}: make the vault with "farside vault init".`,
    );
  }

  #write(name: string, content: Uint8Array): VaultBlob {
    this.#writes += 1;
    // Last-Modified is an HTTP date: the service knows whole seconds only.
    const lastModifiedMs = Math.floor(this.#now() / 1000) * 1000;
    const entry = {
      content: new Uint8Array(content),
      lastModifiedMs,
      etag: `"0x${this.#writes.toString(16).toUpperCase()}"`,
    };
    this.#entries.set(name, entry);
    return blobOf(name, entry);
  }

  #names(prefix: string): string[] {
    return Array.from(this.#entries.keys())
      .filter((name) => name.startsWith(prefix))
      .sort();
  }
}

function blobOf(name: string, entry: Entry): VaultBlob {
  return { name, sizeBytes: entry.content.length, lastModified: timestamp(entry.lastModifiedMs), etag: entry.etag };
}
