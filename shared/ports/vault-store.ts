/**
 * The container that holds a vault: named blobs, written whole.
 *
 * 1. Every answer carries the **service's** time; rules W1 to W5 (docs/vault-format.md) are decided by it alone.
 * 2. "Absent" is answered only where the service said so (404 of the blob). Everything else that goes wrong throws a
 *    FarsideError: `throttled`, `unavailable`, `forbidden`, or `not-found` where the container itself is missing.
 * 3. One call is one request (list: one per page). Transient answers are retried below this port and nowhere above it.
 */
import type { Timestamp } from "../core/timestamp.ts";

export interface VaultBlob {
  readonly name: string;
  readonly sizeBytes: number;
  /** By the service's clock. */
  readonly lastModified: Timestamp;
  readonly etag: string;
}

export interface VaultBlobContent extends VaultBlob {
  readonly content: Uint8Array<ArrayBuffer>;
}

/** The answer to a refresh, which does not say how long the blob is. */
export type RefreshedBlob = Omit<VaultBlob, "sizeBytes">;

export interface VaultStore {
  /** For messages: the container's URL without any SAS. */
  readonly location: string;
  /** Makes the container where it is missing. */
  createContainer(signal: AbortSignal): Promise<void>;
  /** Writes with `If-None-Match: *`. `exists`: somebody wrote it before; the content was not compared. */
  create(
    name: string,
    content: Uint8Array,
    signal: AbortSignal,
  ): Promise<{ kind: "created"; blob: VaultBlob } | { kind: "exists" }>;
  /** Writes whatever stands there. Only for `work/` and for proving refreshes. */
  put(name: string, content: Uint8Array, signal: AbortSignal): Promise<VaultBlob>;
  /** Refuses with `vault-corrupt` a blob of more than `maxBytes`, before reading it. */
  read(name: string, maxBytes: number, signal: AbortSignal): Promise<VaultBlobContent | undefined>;
  head(name: string, signal: AbortSignal): Promise<VaultBlob | undefined>;
  /** Moves Last-Modified to now without touching the content (rule W3). */
  refresh(name: string, signal: AbortSignal): Promise<RefreshedBlob | undefined>;
  /** In order of name, page by page. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<VaultBlob>;
  /** The "folders" directly below a prefix that ends in "/" (or ""), each ending in "/". */
  listFolders(prefix: string, signal: AbortSignal): AsyncIterable<string>;
  /** With `ifMatch`, only where the ETag is still this one (`changed` otherwise, also where the blob is gone). */
  remove(
    name: string,
    options: { readonly ifMatch?: string },
    signal: AbortSignal,
  ): Promise<"removed" | "absent" | "changed">;
}
