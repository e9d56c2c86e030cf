/**
 * The stored form of one catalog row, the same in every catalog.
 *
 * 1. The value is one JSON text, cut over `document0`, `document1`, …: a string property of Table storage holds 64 KiB in
 *    UTF-16, a row 1 MiB. Beside it stand `schemaVersion` and the columns that lists filter by. The text is ASCII, every other
 *    character escaped: Azurite damages a character whose bytes arrive in two packets, and no cut can fall inside one.
 * 2. The text decides; columns are only ever written from it and never read back.
 * 3. A row that does not parse, and one that a newer release wrote, throws `internal` with its table and key.
 */
import type { z } from "zod";
import { FarsideError } from "../../core/errors.ts";

export interface RowKey {
  readonly partitionKey: string;
  readonly rowKey: string;
}

/** Columns by name, all that a row holds beside its key. */
export type RowColumns = Readonly<Record<string, string | number | boolean>>;

export interface CollectionDefinition<Key, T, Where> {
  /** The table's name is `farside` and this. */
  readonly table: string;
  readonly schemaVersion: number;
  readonly schema: z.ZodType<T>;
  readonly keyOf: (value: T) => Key;
  readonly rowKeyOf: (key: Key) => RowKey;
  readonly columnsOf: (value: T) => Readonly<Record<keyof Where & string, string | boolean>>;
  /** The one partition that holds every row of this filter, where there is one. */
  readonly partitionOf: (where: Partial<Where>) => string | undefined;
}

/** Characters of one document property; 64 KiB of UTF-16 would be 32,768. */
const partLength = 32_000;
/** 14 × 32,000 characters of two bytes are 875 KiB, which leaves room for the columns below 1 MiB. */
const mostParts = 14;

export function encodeRow<Key, T, Where>(definition: CollectionDefinition<Key, T, Where>, value: T): RowColumns {
  const checked = definition.schema.safeParse(value);
  const name = rowName(definition, value);
  if (!checked.success) {
    throw new FarsideError("internal", `${name} was not written, it does not fit its schema: ${issues(checked.error)}`);
  }
  const parts = cut(asciiJson(value));
  if (parts.length > mostParts) {
    throw new FarsideError(
      "internal",
      `${name} was not written: its document needs ${parts.length} parts of ${partLength} characters, a row holds ${mostParts}. Protect fewer disks in one VM.`,
    );
  }
  return {
    ...definition.columnsOf(value),
    schemaVersion: definition.schemaVersion,
    ...Object.fromEntries(parts.map((part, i) => [`document${i}`, part])),
  };
}

export function decodeRow<Key, T, Where>(
  definition: CollectionDefinition<Key, T, Where>,
  key: RowKey,
  columns: Readonly<Record<string, unknown>>,
): T {
  const name = `The row ${key.partitionKey}/${key.rowKey} of the table ${definition.table}`;
  const version = columns["schemaVersion"];
  if (version !== definition.schemaVersion) {
    throw new FarsideError(
      "internal",
      `${name} has the schema version ${JSON.stringify(version)}, this release reads ${definition.schemaVersion}. Update Farside where the version is newer.`,
    );
  }
  const parts: string[] = [];
  for (;;) {
    const part = columns[`document${parts.length}`];
    if (typeof part !== "string") break;
    parts.push(part);
  }
  let document: unknown;
  try {
    document = JSON.parse(parts.join(""));
  } catch (cause) {
    throw new FarsideError("internal", `${name} does not hold JSON.`, { cause });
  }
  const parsed = definition.schema.safeParse(document);
  if (!parsed.success) throw new FarsideError("internal", `${name} does not parse: ${issues(parsed.error)}`);
  return parsed.data;
}

/** A list's limit outside of 1 to 1000 is a defect of the caller. */
export function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
    throw new RangeError(`A page holds 1 to 1000 rows, not ${limit}.`);
  }
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function cut(text: string): string[] {
  return Array.from({ length: Math.ceil(text.length / partLength) }, (_, i) =>
    text.slice(i * partLength, (i + 1) * partLength),
  );
}

function rowName<Key, T, Where>(definition: CollectionDefinition<Key, T, Where>, value: T): string {
  const { partitionKey, rowKey } = definition.rowKeyOf(definition.keyOf(value));
  return `The row ${partitionKey}/${rowKey} of the table ${definition.table}`;
}

function issues(error: z.ZodError): string {
  return error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join(".")}: ${issue.message}`)
    .join("; ");
}
