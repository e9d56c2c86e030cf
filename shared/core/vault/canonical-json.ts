/**
 * JSON in canonical form (RFC 8785): no white space, properties in order of their UTF-16 code units, one spelling for each
 * string. Numbers are integers below 2^53 only, so that every language writes them alike.
 */
import { FarsideError } from "../errors.ts";

/** Properties that are undefined are left out, as JSON.stringify does. Anything that is not JSON throws `internal`. */
export function canonicalJson(value: unknown): string {
  return write(value, "$");
}

export function canonicalJsonBytes(value: unknown): Buffer<ArrayBuffer> {
  return Buffer.from(canonicalJson(value), "utf8");
}

function write(value: unknown, path: string): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw notCanonical(path, "a number that is not an integer below 2^53");
    return String(value);
  }
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw notCanonical(path, "a string with half a surrogate pair");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) {
    return `[${value.map((item, at) => write(item, `${path}[${at}]`)).join(",")}]`;
  }
  if (typeof value !== "object") throw notCanonical(path, `a ${typeof value}`);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw notCanonical(path, "an object that is not plain");
  const record = value as Readonly<Record<string, unknown>>;
  const parts = Object.keys(record)
    .filter((name) => record[name] !== undefined)
    .sort()
    .map((name) => `${write(name, path)}:${write(record[name], `${path}.${name}`)}`);
  return `{${parts.join(",")}}`;
}

function notCanonical(path: string, what: string): FarsideError {
  return new FarsideError("internal", `${path} is ${what}, which has no canonical JSON.`, { details: { path } });
}
