/**
 * The keys of HTTP functions: one master key (everything), one host key (every function), and keys of single functions.
 * A key comes in the header `x-functions-key`, or else as `?code=`.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

export interface Keys {
  readonly master: string;
  readonly host: string;
  /** By the function's name. */
  readonly functions?: Readonly<Record<string, string>>;
}

/** 32 random bytes as URL-safe text. */
export function newKey(): string {
  return randomBytes(32).toString("base64url");
}

/** The key that a request carries; undefined for none. */
export function presentedKey(headers: IncomingHttpHeaders, query: URLSearchParams): string | undefined {
  const header = headers["x-functions-key"];
  return (typeof header === "string" && header !== "" ? header : query.get("code")) ?? undefined;
}

export function isMasterKey(keys: Keys, presented: string | undefined): boolean {
  return presented !== undefined && equal(keys.master, presented);
}

export interface Access {
  readonly name: string;
  readonly authLevel: "anonymous" | "function" | "admin";
}

/** Whether a key opens a function. */
export function isAllowed(keys: Keys, access: Access, presented: string | undefined): boolean {
  if (access.authLevel === "anonymous") return true;
  if (presented === undefined) return false;
  const own = Object.entries(keys.functions ?? {}).find(([name]) => name.toLowerCase() === access.name.toLowerCase());
  const accepted = access.authLevel === "admin" ? [keys.master] : [keys.master, keys.host, ...(own?.slice(1) ?? [])];
  // Every one is compared: the time taken tells nothing about which.
  return accepted.map((key) => equal(key, presented)).includes(true);
}

function equal(expected: string, presented: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return expected !== "" && timingSafeEqual(digest(expected), digest(presented));
}
