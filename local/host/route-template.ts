/**
 * Route templates of HTTP functions, as ASP.NET reads them.
 *
 * 1. Literals and constraints do not regard case; values keep theirs.
 * 2. A value is percent-decoded, except `%2F`: a slash inside a value stays encoded, so that it cannot become a path.
 * 3. Where several templates match a path, the more exact one wins: literal before constrained parameter before
 *    parameter before catch-all, segment by segment.
 */
import { FarsideError } from "../../shared/core/errors.ts";

export interface RouteTemplate {
  readonly text: string;
  /** Sorts templates: the smaller text is the more exact template. */
  readonly precedence: string;
  /** Templates of one shape match the same paths, whatever their parameters are called. */
  readonly shape: string;
  /** The parameters, or undefined where the path does not match. Optional ones that are absent are left out. */
  match(segments: readonly string[]): Record<string, string> | undefined;
}

type Segment =
  | { readonly kind: "literal"; readonly text: string }
  | {
      readonly kind: "parameter";
      readonly name: string;
      readonly optional: boolean;
      readonly catchAll: boolean;
      readonly constraints: readonly Constraint[];
    };

interface Constraint {
  readonly text: string;
  readonly accepts: (value: string) => boolean;
}

/** @throws FarsideError `bad-configuration` for a template that the real host refuses, or that is beyond this one. */
export function parseRouteTemplate(text: string, where: string): RouteTemplate {
  const fail = (problem: string): never => {
    throw new FarsideError("bad-configuration", `${where} has the route ${JSON.stringify(text)}: ${problem}.`);
  };
  const trimmed = text.replaceAll(/^\/+|\/+$/g, "");
  const segments = (trimmed === "" ? [] : splitSegments(trimmed)).map((part) => parseSegment(part, fail));
  const names = segments.flatMap((segment) => (segment.kind === "parameter" ? [segment.name.toLowerCase()] : []));
  if (new Set(names).size !== names.length) fail("a parameter occurs twice");
  segments.slice(0, -1).forEach((segment) => {
    if (segment.kind === "parameter" && (segment.optional || segment.catchAll)) {
      fail(`{${segment.name}} is optional or a catch-all and must be the last segment`);
    }
  });
  return {
    text: trimmed,
    precedence: segments.map(rank).join(""),
    shape: segments.map(shapeOf).join("/"),
    match: (values) => matchAll(segments, values),
  };
}

/**
 * The decoded segments of a request's path (without its query), or undefined where it is not valid percent-encoding.
 * A slash at the end does not count.
 */
export function pathSegments(path: string): string[] | undefined {
  const parts = path.replace(/^\//, "").replace(/\/$/, "").split("/");
  try {
    const decoded = parts.map((part) => decodeURIComponent(part.replaceAll(/%2f/gi, "%252F")));
    return decoded.length === 1 && decoded[0] === "" ? [] : decoded;
  } catch {
    return undefined;
  }
}

/** Splits at slashes that are outside braces: a regular expression may contain some. */
function splitSegments(text: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const character of text) {
    if (character === "{") depth += 1;
    if (character === "}") depth -= 1;
    if (character === "/" && depth === 0) parts.push("");
    else parts.push((parts.pop() ?? "") + character);
  }
  return parts;
}

function parseSegment(text: string, fail: (problem: string) => never): Segment {
  if (!/[{}]/.test(text)) return text === "" ? fail("it has an empty segment") : { kind: "literal", text };
  const [, stars = "", name = "", rest = ""] = /^\{(\*{0,2})([A-Za-z_][A-Za-z0-9_-]*)(.*)\}$/.exec(text) ?? [];
  if (name === "") {
    return fail(`the segment ${JSON.stringify(text)} is neither a literal nor one parameter such as {id} or {id:int}`);
  }
  const optional = rest.endsWith("?");
  const constraints = splitConstraints(optional ? rest.slice(0, -1) : rest, fail);
  return { kind: "parameter", name, optional, catchAll: stars !== "", constraints };
}

/** `:int:length(3)`; a colon inside parentheses belongs to its constraint. Braces are doubled inside a template. */
function splitConstraints(text: string, fail: (problem: string) => never): Constraint[] {
  if (text === "") return [];
  if (!text.startsWith(":")) return fail(`${JSON.stringify(text)} after a parameter's name is no constraint`);
  const parts: string[] = [];
  let depth = 0;
  for (const character of text) {
    if (character === ":" && depth === 0) parts.push("");
    else parts.push((parts.pop() ?? "") + character);
    if (character === "(") depth += 1;
    if (character === ")") depth -= 1;
  }
  return parts.map((part) => parseConstraint(part.replaceAll("{{", "{").replaceAll("}}", "}"), fail));
}

function parseConstraint(text: string, fail: (problem: string) => never): Constraint {
  const [, name = "", argumentText] = /^([A-Za-z]+)(?:\((.*)\))?$/.exec(text) ?? [];
  const numbers = (argumentText ?? "").split(",").map(Number);
  const [a = Number.NaN, b = a] = numbers;
  const needs = (count: readonly number[], accepts: (value: string) => boolean): Constraint =>
    argumentText !== undefined && count.includes(numbers.length) && numbers.every(Number.isInteger)
      ? { text, accepts }
      : fail(`the constraint ${JSON.stringify(text)} needs ${count.join(" or ")} whole numbers`);
  const integer = /^[+-]?\d+$/;
  switch (name.toLowerCase()) {
    case "int":
      return { text, accepts: (value) => integer.test(value) && Math.abs(Number(value)) <= 2_147_483_647 };
    case "long":
      return { text, accepts: (value) => integer.test(value) && value.length <= 19 };
    case "bool":
      return { text, accepts: (value) => /^(?:true|false)$/i.test(value) };
    case "alpha":
      return { text, accepts: (value) => /^[a-z]*$/i.test(value) };
    case "guid":
      return { text, accepts: (value) => /^\{?[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?$/i.test(value) };
    case "length":
      return needs([1, 2], (value) => value.length >= a && value.length <= b);
    case "minlength":
      return needs([1], (value) => value.length >= a);
    case "maxlength":
      return needs([1], (value) => value.length <= a);
    case "min":
      return needs([1], (value) => integer.test(value) && Number(value) >= a);
    case "max":
      return needs([1], (value) => integer.test(value) && Number(value) <= a);
    case "range":
      return needs([2], (value) => integer.test(value) && Number(value) >= a && Number(value) <= b);
    case "regex": {
      const expression = regularExpression(argumentText ?? "", fail);
      return { text, accepts: (value) => expression.test(value) };
    }
    default:
      return fail(`the constraint ${JSON.stringify(text)} is not known here`);
  }
}

function regularExpression(source: string, fail: (problem: string) => never): RegExp {
  try {
    return new RegExp(source, "i");
  } catch {
    return fail(`${JSON.stringify(source)} is no regular expression`);
  }
}

function matchAll(segments: readonly Segment[], values: readonly string[]): Record<string, string> | undefined {
  const parameters: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const value = values[index];
    if (segment.kind === "literal") {
      if (value?.toLowerCase() !== segment.text.toLowerCase()) return undefined;
      continue;
    }
    const whole = segment.catchAll ? values.slice(index).join("/") : (value ?? "");
    if (whole === "") {
      if (segment.catchAll && value === undefined) continue;
      if (!segment.optional || value !== undefined) return undefined;
      continue;
    }
    if (!segment.constraints.every((constraint) => constraint.accepts(whole))) return undefined;
    parameters[segment.name] = whole;
    if (segment.catchAll) return parameters;
  }
  return values.length > segments.length ? undefined : parameters;
}

function rank(segment: Segment): string {
  if (segment.kind === "literal") return "1";
  const constrained = segment.constraints.length > 0;
  if (segment.catchAll) return constrained ? "4" : "5";
  return constrained ? "2" : "3";
}

function shapeOf(segment: Segment): string {
  if (segment.kind === "literal") return segment.text.toLowerCase();
  const constraints = segment.constraints.map((one) => `:${one.text}`).join("");
  return `{${segment.catchAll ? "*" : ""}${constraints}${segment.optional ? "?" : ""}}`;
}
