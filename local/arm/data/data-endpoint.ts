/**
 * Serves the bytes behind SAS URLs as the storage service does for managed disks: a page blob of the disk's size and 512 bytes more, the
 * footer of a fixed VHD. What the real one does not allow there (creating, deleting, blob snapshots) is refused here too.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { randomUUID } from "node:crypto";
import type { Bytes, DiskStore } from "../disks/disk-store.ts";
import type { ToldRange } from "../disks/page-map.ts";
import { said } from "../exchange.ts";
import { ServiceError } from "../service-error.ts";
import { parseDataRequest, type ByteSpan, type DataRequest } from "./data-request.ts";
import type { Grant, Grants } from "./grants.ts";
import { pageListXml } from "./page-list.ts";

export interface DataContext {
  readonly store: DiskStore;
  readonly grants: Grants;
  /** The bytes of a resource as they are now, footer and all. */
  readonly bytesOf: (resourceId: string) => Bytes;
  readonly now: () => number;
  /** What is told of the ranges that changed: all of them, unless a test makes it wrong. */
  readonly told: (ranges: readonly ToldRange[]) => readonly ToldRange[];
  /** Called before each request is served: what it throws is the answer, and it may destroy the connection. */
  readonly beforeData: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

/** A long read is sent in pieces of this many bytes, so that memory stays small whatever is asked for. */
const pieceBytes = 1024 * 1024;

export async function serveData(
  context: DataContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader("x-ms-request-id", randomUUID());
  response.setHeader("x-ms-version", String(request.headers["x-ms-version"] ?? "2025-01-05"));
  try {
    await context.beforeData(request, response);
    if (response.destroyed) return;
    const url = new URL(request.url ?? "/", "http://localhost");
    const grant = grantOf(context, url);
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, value?.toString()]),
    );
    const asked = parseDataRequest({ method: request.method ?? "", query: url.searchParams, headers });
    await answer(context, grant, asked, request, response);
  } catch (error) {
    sendError(response, error);
  }
}

function grantOf(context: DataContext, url: URL): Grant {
  const [, name = ""] = url.pathname.split("/");
  const grant = context.grants.find(name, url.searchParams.get("sig") ?? "", context.now());
  if (grant !== undefined) return grant;
  throw new ServiceError(
    403,
    "AuthenticationFailed",
    "Server failed to authenticate the request: the SAS has ended or is wrong.",
  );
}

async function answer(
  context: DataContext,
  grant: Grant,
  asked: DataRequest,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const bytes = context.bytesOf(grant.resourceId);
  // What stands behind a read SAS never changes: its newest layer names it.
  response.setHeader("etag", `"0x${bytes.layers.at(-1)?.replaceAll("-", "").slice(0, 15).toUpperCase()}"`);
  switch (asked.kind) {
    case "properties":
      response.setHeader("x-ms-blob-type", "PageBlob");
      response.setHeader("content-length", bytes.sizeBytes);
      response.setHeader("accept-ranges", "bytes");
      response.writeHead(200).end();
      return;
    case "read":
      return sendBytes(context, bytes, asked.span, response);
    case "list": {
      const ranges = listed(context, grant, bytes, asked);
      response.setHeader("x-ms-blob-content-length", bytes.sizeBytes);
      response.setHeader("content-type", "application/xml");
      response.writeHead(200).end(said(response, pageListXml(ranges, asked.marker, asked.maxResults)));
      return;
    }
    case "write":
    case "clear":
      return change(context, grant, bytes, asked, request, response);
    default:
      asked satisfies never;
  }
}

function listed(context: DataContext, grant: Grant, bytes: Bytes, asked: Extract<DataRequest, { kind: "list" }>) {
  const { start, end } = within(asked.span, bytes);
  if (asked.previousUrl === undefined) return context.store.allocated(bytes, start, end);
  const previous = grantOf(context, previousOf(asked.previousUrl));
  const older = context.bytesOf(previous.resourceId);
  const sameFamily = grant.familyId !== undefined && previous.familyId === grant.familyId;
  const changed = sameFamily ? context.store.changed(older, bytes, start, end) : undefined;
  if (changed !== undefined) return context.told(changed);
  throw new ServiceError(
    409,
    "PreviousSnapshotCannotBeNewer",
    "The previous snapshot is not an older one of the same disk.",
  );
}

function previousOf(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new ServiceError(400, "InvalidHeaderValue", "x-ms-previous-snapshot-url is no URL.");
}

async function change(
  context: DataContext,
  grant: Grant,
  bytes: Bytes,
  asked: Extract<DataRequest, { kind: "write" | "clear" }>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (grant.access !== "Write") {
    throw new ServiceError(403, "AuthorizationPermissionMismatch", "This SAS allows reading alone.");
  }
  const { start, end } = asked.span;
  if (end > bytes.sizeBytes)
    throw new ServiceError(416, "InvalidPageRange", "The range is beyond the end of the disk.");
  if (asked.kind === "clear") context.store.clear(bytes, start, end - start);
  else await context.store.write(bytes, start, await readBody(request, end - start));
  response.writeHead(201).end();
}

async function readBody(request: IncomingMessage, length: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let seen = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    seen += part.length;
    if (seen > length) break;
    parts.push(part);
  }
  if (seen !== length) throw new ServiceError(400, "InvalidHeaderValue", "The body is not as long as its range.");
  return Buffer.concat(parts, length);
}

async function sendBytes(
  { store }: DataContext,
  bytes: Bytes,
  asked: ByteSpan | undefined,
  response: ServerResponse,
): Promise<void> {
  const { start, end } = within(asked, bytes);
  response.setHeader("x-ms-blob-type", "PageBlob");
  response.setHeader("content-length", end - start);
  response.setHeader("content-type", "application/octet-stream");
  if (asked !== undefined) response.setHeader("content-range", `bytes ${start}-${end - 1}/${bytes.sizeBytes}`);
  response.writeHead(asked === undefined ? 200 : 206);
  for (let at = start; at < end && !response.destroyed; at += pieceBytes) {
    const more = response.write(await store.read(bytes, at, Math.min(pieceBytes, end - at)));
    if (!more) await drained(response);
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}

function within(span: ByteSpan | undefined, { sizeBytes }: Bytes): ByteSpan {
  const { start, end } = span ?? { start: 0, end: sizeBytes };
  if (start >= sizeBytes) throw new ServiceError(416, "InvalidRange", `The range begins beyond ${sizeBytes} bytes.`);
  return { start, end: Math.min(end, sizeBytes) };
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const known =
    error instanceof ServiceError
      ? error
      : new ServiceError(500, "InternalError", error instanceof Error ? error.message : "");
  response.setHeader("x-ms-error-code", known.code);
  response.setHeader("content-type", "application/xml");
  for (const [name, value] of Object.entries(known.headers)) response.setHeader(name, value);
  const text = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${known.code}</Code><Message>${known.message}</Message></Error>`;
  response.writeHead(known.status).end(said(response, text));
}
