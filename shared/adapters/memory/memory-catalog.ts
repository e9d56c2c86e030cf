/**
 * The catalog in memory, for tests and the simulation. Values are stored through the same schemas as in Table storage and
 * parsed when read, so that what would not survive a table does not survive here either. Deterministic: ETags count up.
 */
import { FarsideError } from "../../core/errors.ts";
import type { Catalog, Collection, ListOptions, Page, Stored } from "../../ports/catalog.ts";
import { collections } from "../../wire/catalog/collections.ts";
import {
  checkLimit,
  decodeRow,
  encodeRow,
  type CollectionDefinition,
  type RowColumns,
} from "../../wire/catalog/row.ts";

interface Row {
  readonly partitionKey: string;
  readonly rowKey: string;
  readonly columns: RowColumns;
  readonly etag: string;
}

class MemoryCollection<Key, T, Where> implements Collection<Key, T, Where> {
  readonly #definition: CollectionDefinition<Key, T, Where>;
  readonly #rows = new Map<string, Row>();
  #writes = 0;

  constructor(definition: CollectionDefinition<Key, T, Where>) {
    this.#definition = definition;
  }

  async get(key: Key, signal: AbortSignal): Promise<Stored<T> | undefined> {
    await turn(signal);
    const row = this.#rows.get(this.#place(key));
    return row === undefined ? undefined : this.#stored(row);
  }

  async insert(value: T, signal: AbortSignal): Promise<Stored<T> | "exists"> {
    await turn(signal);
    if (this.#rows.has(this.#place(this.#definition.keyOf(value)))) return "exists";
    return this.#write(value);
  }

  async replace(stored: Stored<T>, value: T, signal: AbortSignal): Promise<Stored<T> | "conflict"> {
    await turn(signal);
    const row = this.#rows.get(this.#place(this.#definition.keyOf(value)));
    return row?.etag === stored.etag ? this.#write(value) : "conflict";
  }

  async remove(
    key: Key,
    stored: Stored<T> | undefined,
    signal: AbortSignal,
  ): Promise<"removed" | "absent" | "conflict"> {
    await turn(signal);
    const place = this.#place(key);
    const row = this.#rows.get(place);
    if (row === undefined) return "absent";
    if (stored !== undefined && row.etag !== stored.etag) return "conflict";
    this.#rows.delete(place);
    return "removed";
  }

  async list(options: ListOptions<Where>, signal: AbortSignal): Promise<Page<T>> {
    checkLimit(options.limit);
    await turn(signal);
    const where = Object.entries(options.where ?? {});
    const after = options.continuation === undefined ? undefined : decodeContinuation(options.continuation);
    const found = [...this.#rows]
      .filter(([place]) => after === undefined || place > after)
      .filter(([, row]) => where.every(([column, wanted]) => row.columns[column] === wanted))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const page = found.slice(0, options.limit);
    const items = page.map(([, row]) => this.#stored(row));
    const last = page.at(-1);
    return last === undefined || found.length <= page.length
      ? { items }
      : { items, continuation: encodeContinuation(last[0]) };
  }

  #place(key: Key): string {
    const { partitionKey, rowKey } = this.#definition.rowKeyOf(key);
    return `${partitionKey}\0${rowKey}`;
  }

  #write(value: T): Stored<T> {
    const columns = encodeRow(this.#definition, value);
    const key = this.#definition.rowKeyOf(this.#definition.keyOf(value));
    const row = { ...key, columns, etag: `"${++this.#writes}"` };
    this.#rows.set(`${key.partitionKey}\0${key.rowKey}`, row);
    return this.#stored(row);
  }

  #stored(row: Row): Stored<T> {
    return { value: decodeRow(this.#definition, row, row.columns), etag: row.etag };
  }
}

export class MemoryCatalog implements Catalog {
  readonly policies = new MemoryCollection(collections.policies);
  readonly vms = new MemoryCollection(collections.vms);
  readonly vmStates = new MemoryCollection(collections.vmStates);
  readonly runs = new MemoryCollection(collections.runs);
  readonly runEvents = new MemoryCollection(collections.runEvents);
  readonly restorePoints = new MemoryCollection(collections.restorePoints);
  readonly scheduleCursors = new MemoryCollection(collections.scheduleCursors);
  readonly sourceAccounts = new MemoryCollection(collections.sourceAccounts);
  readonly discoveryReports = new MemoryCollection(collections.discoveryReports);
  readonly idempotentRequests = new MemoryCollection(collections.idempotentRequests);
}

/** One turn of the event loop's microtasks: callers that race meet here as they would at a service. */
async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await Promise.resolve();
}

function encodeContinuation(place: string): string {
  return Buffer.from(place, "utf8").toString("base64url");
}

function decodeContinuation(text: string): string {
  const place = Buffer.from(text, "base64url").toString("utf8");
  if (!place.includes("\0")) throw new FarsideError("bad-input", "The continuation is not one that a list gave.");
  return place;
}
