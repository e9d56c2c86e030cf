/**
 * The catalog in Table storage (wire/catalog says which table and what a row looks like).
 *
 * 1. A table is made when the first row is inserted; one that is missing has no rows.
 * 2. Each write carries a `writer` of its own. Where the service refuses a write because of what is there, and there
 *    stands that very writer, then an earlier try of this write had arrived and only its answer was lost: it has won.
 * 3. A removal whose first answer was lost says "absent", which is as true.
 */
import { randomUUID } from "node:crypto";
import type { TableClient } from "@azure/data-tables";
import { FarsideError } from "../../core/errors.ts";
import type { Catalog, Collection, ListOptions, Page, Stored } from "../../ports/catalog.ts";
import { collections } from "../../wire/catalog/collections.ts";
import { checkLimit, decodeRow, encodeRow, type CollectionDefinition } from "../../wire/catalog/row.ts";
import { isAnswer, storageCall } from "./storage-call.ts";
import { storageFault } from "./storage-errors.ts";
import { tableClient, type StorageConnection } from "./storage-connection.ts";

const absent = ["ResourceNotFound", "EntityNotFound", "TableNotFound"];
const changed = ["UpdateConditionNotSatisfied", "ConditionNotMet"];

type Entity = Readonly<Record<string, unknown>> & { readonly etag: string };

class TableCollection<Key, T, Where> implements Collection<Key, T, Where> {
  readonly #client: TableClient;
  readonly #definition: CollectionDefinition<Key, T, Where>;
  #created: Promise<void> | undefined;

  constructor(connection: StorageConnection, definition: CollectionDefinition<Key, T, Where>) {
    this.#client = tableClient(connection, definition.table);
    this.#definition = definition;
  }

  async get(key: Key, signal: AbortSignal): Promise<Stored<T> | undefined> {
    const entity = await this.#entity(key, signal);
    return entity === undefined ? undefined : this.#stored(entity);
  }

  async insert(value: T, signal: AbortSignal): Promise<Stored<T> | "exists"> {
    const { entity, writer } = this.#toWrite(value);
    const etag = await this.#call(entity, signal, "write", async (abortSignal) => {
      const create = async () => (await this.#client.createEntity(entity, { abortSignal })).etag;
      try {
        return await create();
      } catch (error) {
        if (isAnswer(error, "EntityAlreadyExists")) return undefined;
        if (!isAnswer(error, "TableNotFound")) throw error;
      }
      await this.#createTable(abortSignal);
      return create().catch((error: unknown) => {
        if (isAnswer(error, "EntityAlreadyExists")) return undefined;
        throw error;
      });
    });
    if (etag !== undefined) return { value, etag };
    return (await this.#ownWrite(value, writer, signal)) ?? "exists";
  }

  async replace(stored: Stored<T>, value: T, signal: AbortSignal): Promise<Stored<T> | "conflict"> {
    const { entity, writer } = this.#toWrite(value);
    const etag = await this.#call(entity, signal, "write", async (abortSignal) => {
      try {
        const options = { etag: stored.etag, abortSignal };
        return (await this.#client.updateEntity(entity, "Replace", options)).etag;
      } catch (error) {
        if (isAnswer(error, ...changed, ...absent)) return undefined;
        throw error;
      }
    });
    if (etag !== undefined) return { value, etag };
    return (await this.#ownWrite(value, writer, signal)) ?? "conflict";
  }

  async remove(
    key: Key,
    stored: Stored<T> | undefined,
    signal: AbortSignal,
  ): Promise<"removed" | "absent" | "conflict"> {
    const { partitionKey, rowKey } = this.#definition.rowKeyOf(key);
    return this.#call({ partitionKey, rowKey }, signal, "remove", async (abortSignal) => {
      try {
        await this.#client.deleteEntity(partitionKey, rowKey, { etag: stored?.etag ?? "*", abortSignal });
        return "removed";
      } catch (error) {
        if (isAnswer(error, ...absent)) return "absent";
        if (isAnswer(error, ...changed)) return "conflict";
        throw error;
      }
    });
  }

  async list(options: ListOptions<Where>, signal: AbortSignal): Promise<Page<T>> {
    checkLimit(options.limit);
    if (options.continuation !== undefined) checkContinuation(options.continuation);
    const filter = this.#filter(options.where ?? {});
    const page = await storageCall(`list the table ${this.#definition.table}`, signal, async (abortSignal) => {
      const pages = this.#client.listEntities<Entity>({ abortSignal, queryOptions: filter === "" ? {} : { filter } });
      const settings = { maxPageSize: options.limit };
      const { continuation } = options;
      try {
        for await (const first of pages.byPage(
          continuation === undefined ? settings : { ...settings, continuationToken: continuation },
        )) {
          return first;
        }
      } catch (error) {
        // It looked like one, and the service does not know it.
        if (continuation !== undefined && storageFault(error)?.status === 400) throw notAContinuation();
        if (!isAnswer(error, ...absent)) throw error;
      }
      return undefined;
    });
    const items = (page ?? []).map((entity) => this.#stored(entity));
    const next = (page as { continuationToken?: string } | undefined)?.continuationToken;
    return next === undefined || next === "" ? { items } : { items, continuation: next };
  }

  #filter(where: Partial<Where>): string {
    const partition = this.#definition.partitionOf(where);
    const columns = Object.entries(where).flatMap(([column, wanted]) =>
      wanted === undefined ? [] : [`${column} eq ${literal(wanted)}`],
    );
    return [...(partition === undefined ? [] : [`PartitionKey eq ${literal(partition)}`]), ...columns].join(" and ");
  }

  /** The row as the write of `writer` left it, if that is what stands there now. */
  async #ownWrite(value: T, writer: string, signal: AbortSignal): Promise<Stored<T> | undefined> {
    const entity = await this.#entity(this.#definition.keyOf(value), signal);
    return entity?.["writer"] === writer ? this.#stored(entity) : undefined;
  }

  async #entity(key: Key, signal: AbortSignal): Promise<Entity | undefined> {
    const { partitionKey, rowKey } = this.#definition.rowKeyOf(key);
    return this.#call({ partitionKey, rowKey }, signal, "read", async (abortSignal) => {
      try {
        return await this.#client.getEntity<Entity>(partitionKey, rowKey, { abortSignal });
      } catch (error) {
        if (isAnswer(error, ...absent)) return undefined;
        throw error;
      }
    });
  }

  #toWrite(value: T) {
    const writer = randomUUID();
    const key = this.#definition.rowKeyOf(this.#definition.keyOf(value));
    return { writer, entity: { ...key, ...encodeRow(this.#definition, value), writer } };
  }

  #stored(entity: Entity): Stored<T> {
    const key = { partitionKey: String(entity["partitionKey"]), rowKey: String(entity["rowKey"]) };
    return { value: decodeRow(this.#definition, key, entity), etag: entity.etag };
  }

  async #createTable(abortSignal: AbortSignal): Promise<void> {
    // Callers that race wait for one request; a failure is not remembered.
    this.#created ??= this.#client.createTable({ abortSignal }).finally(() => {
      this.#created = undefined;
    });
    await this.#created;
  }

  async #call<R>(
    { partitionKey, rowKey }: { readonly partitionKey: string; readonly rowKey: string },
    signal: AbortSignal,
    doing: string,
    call: (bounded: AbortSignal) => Promise<R>,
  ): Promise<R> {
    return storageCall(
      `${doing} the row ${partitionKey}/${rowKey} of the table ${this.#definition.table}`,
      signal,
      call,
    );
  }
}

export class TableCatalog implements Catalog {
  readonly policies;
  readonly vms;
  readonly vmStates;
  readonly runs;
  readonly runEvents;
  readonly restorePoints;
  readonly scheduleCursors;
  readonly sourceAccounts;
  readonly discoveryReports;
  readonly idempotentRequests;

  constructor(connection: StorageConnection) {
    this.policies = new TableCollection(connection, collections.policies);
    this.vms = new TableCollection(connection, collections.vms);
    this.vmStates = new TableCollection(connection, collections.vmStates);
    this.runs = new TableCollection(connection, collections.runs);
    this.runEvents = new TableCollection(connection, collections.runEvents);
    this.restorePoints = new TableCollection(connection, collections.restorePoints);
    this.scheduleCursors = new TableCollection(connection, collections.scheduleCursors);
    this.sourceAccounts = new TableCollection(connection, collections.sourceAccounts);
    this.discoveryReports = new TableCollection(connection, collections.discoveryReports);
    this.idempotentRequests = new TableCollection(connection, collections.idempotentRequests);
  }
}

/** A value in a filter (OData): quotes in texts are doubled. */
function literal(value: unknown): string {
  return typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value);
}

/** The SDK's token is base64 of JSON with the next partition and row, both of them texts. */
function checkContinuation(text: string): void {
  try {
    const token: unknown = JSON.parse(Buffer.from(text, "base64").toString("utf8"));
    if (typeof token === "object" && token !== null && "nextPartitionKey" in token) {
      const { nextPartitionKey, nextRowKey = "" } = token as { nextPartitionKey: unknown; nextRowKey?: unknown };
      if (typeof nextPartitionKey === "string" && typeof nextRowKey === "string") return;
    }
  } catch {
    // Not JSON: said below.
  }
  throw notAContinuation();
}

function notAContinuation(): FarsideError {
  return new FarsideError("bad-input", "The continuation is not one that a list gave.");
}
