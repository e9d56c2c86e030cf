/**
 * What no cloud has: the guest's own side of a disk, and the number of requests so far. For people who try Farside out, for the demo and for
 * tests; docs/local-arm.md describes it.
 *
 *   POST   /local/disks<id of the disk>?offset=N            writes the body, as the guest of a running VM does
 *   DELETE /local/disks<id of the disk>?offset=N&length=L   gives the pages back (TRIM): they read as zeros
 *   GET    /local/disks<id of the disk>?offset=N&length=L   what the disk holds now
 *   GET    /local/requests                                  {"reads","writes","deletes"}: requests to ARM since the start
 *
 * A bearer token is wanted as everywhere, and any will do: it keeps out web pages, which cannot send one.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Arm } from "./arm.ts";
import { diskBytes } from "./disks/disk-bytes.ts";
import type { Bytes } from "./disks/disk-store.ts";
import { pageBytes } from "./disks/page-map.ts";
import { attachedTo, invalid } from "./handlers/disks.ts";
import { propertiesOf } from "./resources.ts";
import { ServiceError } from "./service-error.ts";
import type { RequestFamily } from "./throttle.ts";

export const localPrefix = "/local/";
const disksPrefix = `${localPrefix}disks/`;

/** Requests to ARM since the start. */
export type RequestCounts = Record<RequestFamily, number>;

/** Of one write or read. */
const mostBytes = 4 * 1024 * 1024;

export async function serveLocal(
  arm: Arm,
  counts: Readonly<RequestCounts>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    if (!/^Bearer \S+/.test(request.headers.authorization ?? ""))
      throw new ServiceError(401, "AuthenticationFailed", "The 'Authorization' header is missing.");
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    const path = decodeURIComponent(pathname);
    if (request.method === "GET" && path === `${localPrefix}requests`) {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(counts));
      return;
    }
    if (!path.startsWith(disksPrefix)) throw new ServiceError(404, "NotFound", `There is no ${path}.`);
    await serveDisk(arm, path.slice(disksPrefix.length - 1), searchParams, request, response);
  } catch (error) {
    sendError(response, error);
  }
}

async function serveDisk(
  arm: Arm,
  id: string,
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { store } = arm;
  const { method = "" } = request;
  const offset = numberOf(query, "offset");
  switch (method) {
    case "GET": {
      const bytes = bytesOf(arm, id);
      const length = lengthOf(query, bytes, offset);
      if (length > mostBytes) throw invalid(`length ${length} is more than ${mostBytes}.`);
      const content = await store.read(bytes, offset, length);
      response.writeHead(200, { "content-type": "application/octet-stream" }).end(content);
      return;
    }
    case "POST": {
      const content = await readBody(request);
      // Only now: a snapshot taken while the body came in must not see it.
      const bytes = writable(arm, id);
      refuseOutside(bytes, offset, content.length);
      await store.write(bytes, offset, content);
      break;
    }
    case "DELETE": {
      const bytes = writable(arm, id);
      store.clear(bytes, offset, lengthOf(query, bytes, offset));
      break;
    }
    default:
      throw new ServiceError(405, "MethodNotAllowed", "A disk is written by POST, cleared by DELETE, read by GET.");
  }
  response.writeHead(204).end();
}

function bytesOf(arm: Arm, id: string): Bytes {
  const { bytes, type } = arm.resources.require(id);
  if (bytes === undefined || type !== "Microsoft.Compute/disks") throw invalid(`${id} is no disk.`);
  return bytes;
}

/** Nothing runs on a disk that is attached to no VM, or to one that stands still. */
function writable(arm: Arm, id: string): Bytes {
  const bytes = bytesOf(arm, id);
  const owner = attachedTo(arm, id);
  if (owner !== undefined && propertiesOf(owner)["powerState"] === "running") return bytes;
  const why = owner === undefined ? "it is attached to no VM" : `the VM ${owner.id} does not run`;
  throw new ServiceError(409, "OperationNotAllowed", `No guest writes to ${id}: ${why}.`);
}

function numberOf(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? "";
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw invalid(`${name} ${JSON.stringify(text)} is not a number of bytes.`);
}

function lengthOf(query: URLSearchParams, bytes: Bytes, offset: number): number {
  const length = numberOf(query, "length");
  refuseOutside(bytes, offset, length);
  return length;
}

function refuseOutside(bytes: Bytes, offset: number, length: number): void {
  if (offset % pageBytes !== 0 || length % pageBytes !== 0)
    throw invalid(`Bytes ${offset}+${length} are not whole pages of ${pageBytes}.`);
  if (offset + length > diskBytes(bytes))
    throw invalid(`Bytes ${offset}+${length} are beyond the disk, which has ${diskBytes(bytes)}.`);
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let seen = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    seen += part.length;
    if (seen > mostBytes) throw invalid(`The body is more than ${mostBytes} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const known =
    error instanceof ServiceError
      ? error
      : new ServiceError(500, "InternalServerError", error instanceof Error ? error.message : "");
  const { status, code, message } = known;
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error: { code, message } }));
}
