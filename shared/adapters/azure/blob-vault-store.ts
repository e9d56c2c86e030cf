/** A vault in a container of Azure Blob Storage: the contract is in ports/vault-store.ts, the retries are in storage-clients.ts. */
import type { BlobDownloadResponseParsed, BlockBlobClient, ContainerClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { timestamp } from "../../core/timestamp.ts";
import { corrupt } from "../../core/vault/corrupt.ts";
import type { RefreshedBlob, VaultBlob, VaultBlobContent, VaultStore } from "../../ports/vault-store.ts";
import { wholeBody } from "./blob-body.ts";
import { publicUrl } from "./storage-clients.ts";
import { isAlreadyThere, isBlobAbsent, isEtagChanged, storageError, storageFault } from "./storage-errors.ts";

/** Names a page: as many as the service gives at most. */
const defaultPageSize = 5000;

export class BlobVaultStore implements VaultStore {
  readonly location: string;
  readonly #container: ContainerClient;
  readonly #pageSize: number;

  constructor(container: ContainerClient, pageSize = defaultPageSize) {
    this.#container = container;
    this.#pageSize = pageSize;
    this.location = publicUrl(container.url);
  }

  async createContainer(signal: AbortSignal): Promise<void> {
    try {
      await this.#container.create({ abortSignal: signal });
    } catch (error) {
      if (storageFault(error)?.code === "ContainerAlreadyExists") return;
      throw storageError(error, `make the container ${this.location}`, signal);
    }
  }

  async create(
    name: string,
    content: Uint8Array,
    signal: AbortSignal,
  ): Promise<{ kind: "created"; blob: VaultBlob } | { kind: "exists" }> {
    try {
      const conditions = { ifNoneMatch: "*" };
      const answer = await this.#blob(name).upload(content, content.length, { conditions, abortSignal: signal });
      return { kind: "created", blob: blobOf(name, content.length, answer) };
    } catch (error) {
      if (isAlreadyThere(error)) return { kind: "exists" };
      throw this.#error(error, "write", name, signal);
    }
  }

  async put(name: string, content: Uint8Array, signal: AbortSignal): Promise<VaultBlob> {
    try {
      const answer = await this.#blob(name).upload(content, content.length, { abortSignal: signal });
      return blobOf(name, content.length, answer);
    } catch (error) {
      throw this.#error(error, "write", name, signal);
    }
  }

  async read(name: string, maxBytes: number, signal: AbortSignal): Promise<VaultBlobContent | undefined> {
    try {
      const blob = this.#blob(name);
      const answer = await blob.download(0, undefined, { abortSignal: signal });
      const sizeBytes = answer.contentLength;
      if (sizeBytes === undefined) throw noLength(name);
      if (sizeBytes > maxBytes) {
        discardBody(answer);
        const defect = { object: name, reason: "too-long", expected: maxBytes, found: sizeBytes } as const;
        throw corrupt(defect, `it has ${sizeBytes} bytes, and nothing of its kind more than ${maxBytes}`);
      }
      const conditions = answer.etag === undefined ? {} : { ifMatch: answer.etag };
      const ask = (from: number) => blob.download(from, undefined, { abortSignal: signal, conditions });
      const body = { fromByte: 0, lengthBytes: sizeBytes, first: answer, ask };
      return { ...blobOf(name, sizeBytes, answer), content: await wholeBody(body, signal) };
    } catch (error) {
      if (isBlobAbsent(error)) return undefined;
      throw this.#error(error, "read", name, signal);
    }
  }

  async head(name: string, signal: AbortSignal): Promise<VaultBlob | undefined> {
    try {
      const answer = await this.#blob(name).getProperties({ abortSignal: signal });
      if (answer.contentLength === undefined) throw noLength(name);
      return blobOf(name, answer.contentLength, answer);
    } catch (error) {
      if (isBlobAbsent(error)) return undefined;
      throw this.#error(error, "look for", name, signal);
    }
  }

  /** Set Blob Metadata moves Last-Modified, with no metadata too. */
  async refresh(name: string, signal: AbortSignal): Promise<RefreshedBlob | undefined> {
    try {
      const answer = await this.#blob(name).setMetadata({}, { abortSignal: signal });
      return { name, lastModified: timeOf(name, answer.lastModified), etag: answer.etag ?? "" };
    } catch (error) {
      if (isBlobAbsent(error)) return undefined;
      throw this.#error(error, "refresh", name, signal);
    }
  }

  async *list(prefix: string, signal: AbortSignal): AsyncIterable<VaultBlob> {
    try {
      const pages = this.#container
        .listBlobsFlat({ prefix, abortSignal: signal })
        .byPage({ maxPageSize: this.#pageSize });
      for await (const page of pages) {
        for (const item of page.segment.blobItems) {
          const { contentLength, etag, lastModified } = item.properties;
          // Listings give an ETag without its quotes.
          yield blobOf(item.name, contentLength ?? 0, { etag: quoted(etag), lastModified });
        }
      }
    } catch (error) {
      throw this.#error(error, "list", prefix, signal);
    }
  }

  async *listFolders(prefix: string, signal: AbortSignal): AsyncIterable<string> {
    try {
      const listing = this.#container.listBlobsByHierarchy("/", { prefix, abortSignal: signal });
      for await (const page of listing.byPage({ maxPageSize: this.#pageSize })) {
        for (const folder of page.segment.blobPrefixes ?? []) yield folder.name;
      }
    } catch (error) {
      throw this.#error(error, "list", prefix, signal);
    }
  }

  async remove(
    name: string,
    options: { readonly ifMatch?: string },
    signal: AbortSignal,
  ): Promise<"removed" | "absent" | "changed"> {
    try {
      const conditions = options.ifMatch === undefined ? {} : { ifMatch: options.ifMatch };
      await this.#blob(name).delete({ conditions, abortSignal: signal });
      return "removed";
    } catch (error) {
      if (isBlobAbsent(error)) return "absent";
      if (isEtagChanged(error)) return "changed";
      throw this.#error(error, "delete", name, signal);
    }
  }

  #blob(name: string): BlockBlobClient {
    return this.#container.getBlockBlobClient(name);
  }

  #error(error: unknown, verb: string, name: string, signal: AbortSignal): unknown {
    return storageError(error, `${verb} "${name}" in ${this.location}`, signal);
  }
}

interface Answer {
  readonly etag?: string;
  readonly lastModified?: Date;
}

function blobOf(name: string, sizeBytes: number, { etag, lastModified }: Answer): VaultBlob {
  return { name, sizeBytes, lastModified: timeOf(name, lastModified), etag: etag ?? "" };
}

function timeOf(name: string, lastModified: Date | undefined): Timestamp {
  if (lastModified !== undefined) return timestamp(lastModified.getTime());
  throw new FarsideError("unavailable", `The service's answer for "${name}" has no Last-Modified: try again.`);
}

function quoted(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}

function noLength(name: string): FarsideError {
  return new FarsideError("unavailable", `The service's answer for "${name}" has no Content-Length: try again.`);
}

function discardBody(answer: BlobDownloadResponseParsed): void {
  const body = answer.readableStreamBody as { destroy?: () => void } | undefined;
  body?.destroy?.();
}
