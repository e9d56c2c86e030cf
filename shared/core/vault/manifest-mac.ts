/**
 * The `mac` of manifests, seals and tombstones: hex HMAC-SHA-256(manifestKey, canonical JSON of the document without `mac`), or
 * SHA-256 of the same in an unencrypted vault, where it shows damage but not forgery.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { canonicalJson } from "./canonical-json.ts";
import type { VaultKeys } from "./data-keys.ts";
import { currentEpoch, keysOfEpoch } from "./data-keys.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** The document with `mac` and, where the vault is past its first key, `keyEpoch`. */
export function withMac<T extends object>(keys: VaultKeys, document: T): T & { readonly mac: string } {
  const epoch = currentEpoch(keys);
  const whole = epoch === 0 ? document : { ...document, keyEpoch: epoch };
  return { ...whole, mac: macOf(keys, epoch, whole as JsonObject) };
}

/** Whether the document's own `mac` is right. False too where it has none, or names an epoch that the vault has not. */
export function hasRightMac(keys: VaultKeys, document: JsonObject): boolean {
  const epoch = document["keyEpoch"] ?? 0;
  const mac = document["mac"];
  if (typeof epoch !== "number" || typeof mac !== "string") return false;
  if (keys.kind === "none" ? epoch !== 0 : keysOfEpoch(keys, epoch) === undefined) return false;
  const found = Buffer.from(mac, "utf8");
  const right = Buffer.from(macOf(keys, epoch, document), "utf8");
  return found.length === right.length && timingSafeEqual(found, right);
}

function macOf(keys: VaultKeys, epoch: number, document: JsonObject): string {
  const text = canonicalJson({ ...document, mac: undefined });
  const key = keysOfEpoch(keys, epoch);
  const hash = key === undefined ? createHash("sha256") : createHmac("sha256", key.manifest);
  return hash.update(text, "utf8").digest("hex");
}
