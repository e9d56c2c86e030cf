/** Holds JSON against what the specification says of it. What is said of a value never repeats it: it may be a SAS. */
import type { Models } from "./arm-specification.ts";
import type { WireType } from "./wire-model.ts";

export interface ValueCheck {
  readonly models: Models;
  /** Only an answer has what is read-only. */
  readonly side: "request" | "answer";
}

/** Lists of values that the service itself calls out of date, and that its own new values are not in. */
const openValues: ReadonlySet<string> = new Set(["vmSize"]);

/** What is named so in a request is known to be ignored: a client may send back what it read. */
const ignored: ReadonlySet<string> = new Set(["id", "name", "type", "etag"]);

const isTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** The problems of a value, each with its place; `where` is that of the value itself. */
export function checkValue(check: ValueCheck, type: WireType, value: unknown, where: string): string[] {
  switch (type.kind) {
    case "anything":
      return [];
    case "text":
      return typeof value === "string" ? [] : [wrong(where, "a text", value)];
    case "time":
      return typeof value === "string" && isTime.test(value) ? [] : [wrong(where, "a time", value)];
    case "number":
      return typeof value === "number" ? [] : [wrong(where, "a number", value)];
    case "boolean":
      return typeof value === "boolean" ? [] : [wrong(where, "true or false", value)];
    case "value": {
      if (typeof value !== "string") return [wrong(where, "a text", value)];
      const known = openValues.has(where.split(".").at(-1) ?? "") || type.values.includes(value);
      return known ? [] : [`${where} is none of its known values: ${type.values.slice(0, 12).join(", ")}`];
    }
    case "list":
      if (!Array.isArray(value)) return [wrong(where, "a list", value)];
      return value.flatMap((one: unknown) => checkValue(check, type.of, one, `${where}[]`));
    case "map":
      if (!isObject(value)) return [wrong(where, "an object", value)];
      return Object.values(value).flatMap((one) => checkValue(check, type.of, one, `${where}{}`));
    case "model":
      return checkModel(check, type.name, value, where);
    default:
      return type satisfies never;
  }
}

function checkModel(check: ValueCheck, name: string, value: unknown, where: string): string[] {
  if (!isObject(value)) return [wrong(where, `a ${name}`, value)];
  const model = check.models.model(name);
  const problems: string[] = [];
  for (const [key, one] of Object.entries(value)) {
    const place = `${where}.${key}`;
    const property = model.get(key);
    if (property === undefined) problems.push(`${place} is not in the specification of ${name}`);
    else if (check.side === "request" && property.readOnly && !ignored.has(key)) problems.push(`${place} is read-only`);
    else problems.push(...checkValue(check, property.type, one, place));
  }
  const missing = [...model].filter(([key, { required }]) => required && !Object.hasOwn(value, key));
  return [...problems, ...missing.map(([key]) => `${where}.${key} is required, and missing`)];
}

function wrong(where: string, wanted: string, value: unknown): string {
  const given = value === null ? "null" : Array.isArray(value) ? "a list" : `of type ${typeof value}`;
  return `${where} is not ${wanted} but ${given}`;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
