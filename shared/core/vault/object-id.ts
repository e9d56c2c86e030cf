/**
 * Ids of stored objects: `HMAC-SHA-256(idKey, kind ‖ plain)`, or `SHA-256(kind ‖ plain)` in an unencrypted vault.
 *
 * 1. What is all zero has the id of 32 zero bytes and is never stored: a chunk of zeros of any length, and a segment all of
 *    whose chunks are zero.
 * 2. An id is 64 lower-case hex digits, wherever it stands as text.
 */
import { createHash, createHmac } from "node:crypto";
import { FarsideError } from "../errors.ts";
import { quote } from "../ids.ts";
import type { VaultKeys } from "./data-keys.ts";
import { currentEpoch, keysOfEpoch } from "./data-keys.ts";
import { maxDiskIndexBytes, maxDocumentBytes, segmentChunks } from "./limits.ts";
import type { ObjectId } from "./manifest.ts";

export type { ObjectId } from "./manifest.ts";

/** What an object holds. The byte is stored and hashed. */
export const kindBytes = { data: 1, segment: 2, "disk-index": 3, document: 4 } as const;
export type ObjectKind = keyof typeof kindBytes;

const objectKinds: readonly ObjectKind[] = ["data", "segment", "disk-index", "document"];

export const zeroObjectId = "0".repeat(64) as ObjectId;
const pattern = /^[0-9a-f]{64}$/;

export function parseObjectId(text: string): ObjectId {
  if (pattern.test(text)) return text as ObjectId;
  throw new FarsideError("bad-input", `${quote(text)} is not an object id: 64 lower-case hex digits.`);
}

/** The 32 bytes of an id. */
export function objectIdBytes(id: ObjectId): Buffer<ArrayBuffer> {
  return Buffer.from(id, "hex");
}

/** The id whose 32 bytes stand at `offset`. */
export function objectIdAt(bytes: Uint8Array, offset: number): ObjectId {
  return viewOf(bytes).toString("hex", offset, offset + 32) as ObjectId;
}

/** The blob's name. Only data lies in `chunks/`, so that it may move to a cooler tier while the metadata stays. */
export function objectName(kind: ObjectKind, id: ObjectId): string {
  return `${kind === "data" ? "chunks" : "index"}/${id.slice(0, 2)}/${id}`;
}

export function kindOfByte(byte: number): ObjectKind | undefined {
  return objectKinds[byte - 1];
}

/** The most plain bytes that an object of this kind may have: the bound of every buffer that a reader makes. */
export function maxPlainBytes(kind: ObjectKind, chunkSizeBytes: number): number {
  switch (kind) {
    case "data":
      return chunkSizeBytes;
    case "segment":
      return 8 + segmentChunks * 32;
    case "disk-index":
      return maxDiskIndexBytes;
    case "document":
      return maxDocumentBytes;
    default:
      return kind satisfies never;
  }
}

/** The id of plain content, under the epoch that writes or, to check an object of an older one, under that. */
export function objectIdOf(keys: VaultKeys, kind: ObjectKind, plain: Uint8Array, epoch = currentEpoch(keys)): ObjectId {
  if (isZero(kind, plain)) return zeroObjectId;
  const key = keysOfEpoch(keys, epoch);
  const hash = key === undefined ? createHash("sha256") : createHmac("sha256", key.id);
  return hash.update(Uint8Array.of(kindBytes[kind])).update(plain).digest("hex") as ObjectId;
}

const zeros = Buffer.alloc(1024 * 1024);

/** Whether this content is represented by the zero id. */
function isZero(kind: ObjectKind, plain: Uint8Array): boolean {
  if (kind === "data") return isAllZero(plain);
  return kind === "segment" && isAllZero(plain.subarray(8));
}

/** Compares with zeros, by memcmp: about 10 GB/s, and a first byte that is not zero ends it at once. */
export function isAllZero(bytes: Uint8Array): boolean {
  const view = viewOf(bytes);
  for (let at = 0; at < view.length; at += zeros.length) {
    const end = Math.min(view.length, at + zeros.length);
    if (view.compare(zeros, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
