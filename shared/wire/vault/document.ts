/** How a JSON document of the vault is read: as bytes that somebody else wrote. */
import { z } from "zod";
import { canonicalJson } from "../../core/vault/canonical-json.ts";
import { corrupt } from "../../core/vault/corrupt.ts";
import { FarsideError } from "../../core/errors.ts";
import { parseTimestamp } from "../../core/timestamp.ts";
import type { ObjectId } from "../../core/vault/manifest.ts";
import { parseObjectId } from "../../core/vault/object-id.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** The JSON object in these bytes. `object` is the blob's name. Throws `vault-corrupt`. */
export function parseJsonObject(object: string, bytes: Uint8Array): JsonObject {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch (cause) {
    throw corrupt({ object, reason: "not-json" }, "it is not JSON", cause);
  }
  throw corrupt({ object, reason: "not-json" }, "it is not a JSON object");
}

/** As `parseJsonObject`; refuses too what is not in canonical form, to which a `mac` applies. */
export function parseCanonicalObject(object: string, bytes: Uint8Array): JsonObject {
  const document = parseJsonObject(object, bytes);
  if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).equals(canonicalOrNothing(document)))
    return document;
  throw corrupt({ object, reason: "not-canonical" }, "it is not in canonical form");
}

function canonicalOrNothing(document: JsonObject): Buffer {
  try {
    return Buffer.from(canonicalJson(document), "utf8");
  } catch {
    return Buffer.alloc(0);
  }
}

/** Checks a document against its schema. Throws `vault-corrupt` that names the first wrong field. */
export function checkDocument<T>(object: string, document: JsonObject, schema: z.ZodType<T>): T {
  const result = schema.safeParse(document);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.map(String).join(".") ?? "";
  throw corrupt(
    { object, reason: "bad-field", found: field },
    `its field "${field}" is wrong: ${issue?.message ?? ""}`,
  );
}

/** A string that one of the `parse…` functions of the core takes. */
export function parsedString<T extends string>(parse: (text: string) => T): z.ZodType<T> {
  return z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof FarsideError ? error.message : "is not valid" });
      return z.NEVER;
    }
  });
}

export const timestampSchema = parsedString(parseTimestamp);
export const objectIdSchema: z.ZodType<ObjectId> = parsedString(parseObjectId);
export const macSchema = z.string().regex(/^[0-9a-f]{64}$/);
export const epochSchema = z.int().min(1).max(65_535).optional();
export const vaultIdSchema = z.string().regex(/^[A-Za-z0-9-]{8,64}$/);
/** Bytes and counts: exact in every language. */
export const countSchema = z.int().min(0);
