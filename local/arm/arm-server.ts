/**
 * A local stand-in for Azure Resource Manager and for the storage behind managed disks, good enough for the real SDK: on 127.0.0.1, over plain
 * HTTP. What it refuses and how it answers follows the documentation; where that is silent, docs/azure.md says so.
 *
 * 1. A request without a bearer token is 401, one without an api-version 400, an unknown one 404.
 * 2. Time is the caller's: operations end, SAS expire and buckets fill by `now` alone.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Arm, ArmCall, Reply, Route } from "./arm.ts";
import { ServiceError } from "./service-error.ts";
import { armOrigin } from "./arm.ts";
import { ArmRouter, resourceId } from "./arm-router.ts";
import { serveData } from "./data/data-endpoint.ts";
import { Grants } from "./data/grants.ts";
import { settleCopies } from "./disks/background-copy.ts";
import { DiskStore } from "./disks/disk-store.ts";
import { bytesNamed } from "./disks/guest-state.ts";
import { type ArmExchange, madeByFault, overhear, said } from "./exchange.ts";
import { ArmFaults } from "./faults.ts";
import { accessRoutes } from "./handlers/access.ts";
import { diskRoutes } from "./handlers/disks.ts";
import { lockRoutes, refuseLocked } from "./handlers/locks.ts";
import { networkRoutes } from "./handlers/network.ts";
import { restorePointRoutes } from "./handlers/restore-points.ts";
import { runCommandRoutes } from "./handlers/run-commands.ts";
import { snapshotRoutes } from "./handlers/snapshots.ts";
import { virtualMachineRoutes } from "./handlers/virtual-machines.ts";
import { Operations } from "./operations.ts";
import { asObject, Resources } from "./resources.ts";
import { familyOf, Throttle } from "./throttle.ts";

export interface ArmServerOptions {
  /** Where the bytes of the disks are kept. */
  readonly folder: string;
  readonly now: () => number;
  /** How long an operation takes, in milliseconds, by its name (`snapshots/write`). */
  readonly takes: (operation: string) => number;
  /** 0: any free one. */
  readonly port?: number;
  /** Called with each request of ARM, before it is answered; not with those of the disks' bytes. */
  readonly onRequest?: (methodAndPath: string) => void;
  /** Called with each request of ARM and its answer, after that was sent. */
  readonly onExchange?: (exchange: ArmExchange) => void;
  /** The same of the disks' bytes. The URL is a SAS: a secret. */
  readonly onDataExchange?: (exchange: ArmExchange) => void;
}

export interface ArmServer {
  readonly url: string;
  readonly arm: Arm;
  stop(): Promise<void>;
}

export const armRoutes: readonly Route[] = [
  ...virtualMachineRoutes,
  ...runCommandRoutes,
  ...diskRoutes,
  ...snapshotRoutes,
  ...restorePointRoutes,
  ...accessRoutes,
  ...networkRoutes,
  ...lockRoutes,
];
const router = new ArmRouter(armRoutes);

/** Bodies of ARM are models, never data. */
const bodyLimitBytes = 4 * 1024 * 1024;

export async function startArmServer(options: ArmServerOptions): Promise<ArmServer> {
  const store = await DiskStore.open(options.folder);
  const server = createServer();
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const faults = new ArmFaults();
  const arm: Arm = {
    resources: new Resources(),
    store,
    grants: new Grants(),
    operations: new Operations(),
    faults,
    now: options.now,
    takes: options.takes,
    dataUrl: () => url,
  };
  const throttle = new Throttle();
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    if ((request.url ?? "").startsWith("/md-")) {
      if (options.onDataExchange !== undefined) overhear(request, response, options.onDataExchange);
      void serveData(dataContext(arm), request, response);
    } else {
      options.onRequest?.(`${request.method ?? ""} ${request.url?.split("?")[0] ?? ""}`);
      if (options.onExchange !== undefined) overhear(request, response, options.onExchange);
      void serveArm(arm, throttle, url, request, response);
    }
  });
  return { url, arm, stop: () => stop(server, store) };
}

async function stop(server: Server, store: DiskStore): Promise<void> {
  server.close();
  server.closeAllConnections();
  await store.close();
}

function dataContext(arm: Arm) {
  return {
    store: arm.store,
    grants: arm.grants,
    bytesOf: (id: string) =>
      bytesNamed(id, (resourceId) => arm.resources.require(resourceId)) ?? { sizeBytes: 0, layers: [] },
    now: arm.now,
    beforeData: arm.faults.beforeData,
    told: arm.faults.changedRanges,
  };
}

async function serveArm(
  arm: Arm,
  throttle: Throttle,
  url: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader("x-ms-request-id", randomUUID());
  response.setHeader("content-type", "application/json; charset=utf-8");
  try {
    arm.operations.settle(arm.now());
    settleCopies(arm.resources, arm.now());
    const { method = "GET" } = request;
    const { pathname, searchParams } = new URL(request.url ?? "/", url);
    const path = decodeURIComponent(pathname);
    if (!/^Bearer \S+/.test(request.headers.authorization ?? "")) {
      throw new ServiceError(
        401,
        "AuthenticationFailed",
        "Authentication failed. The 'Authorization' header is missing.",
      );
    }
    if (searchParams.get("api-version") === null) {
      throw new ServiceError(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required.",
      );
    }
    const planned = arm.faults.ofRequest(`${method} ${path}`);
    if (planned === "reset") {
      request.socket.destroy();
      return;
    }
    if (planned !== undefined) {
      madeByFault(response);
      throw planned;
    }
    const family = familyOf(method);
    const left = throttle.take(path.split("/")[2] ?? "", family, arm.now());
    response.setHeader(`x-ms-ratelimit-remaining-subscription-${family}`, left);
    const leftOfVm = throttle.takeOfVm(method, path, arm.now());
    if (leftOfVm !== undefined) response.setHeader("x-ms-ratelimit-remaining-resource", leftOfVm);
    refuseLocked(arm, method, path);
    const reply = await replyTo(arm, method, path, searchParams, request);
    send(response, path, reply);
  } catch (error) {
    sendError(response, error);
  }
}

async function replyTo(
  arm: Arm,
  method: string,
  path: string,
  query: URLSearchParams,
  request: IncomingMessage,
): Promise<Reply> {
  const operation =
    /^\/subscriptions\/[^/]+\/providers\/Microsoft\.Compute\/locations\/[^/]+\/operations\/([^/]+)$/i.exec(path);
  if (operation !== null && method === "GET") return poll(arm, operation[1] ?? "", query.get("monitor") === "true");
  const match = router.find(method, path);
  if (match === undefined)
    throw new ServiceError(404, "InvalidResourceType", `${method} ${path} is not known in this region.`);
  const call: ArmCall = {
    method,
    params: match.params,
    query,
    body: method === "GET" || method === "DELETE" ? {} : await readJson(request),
    id: resourceId(path, match.route.template),
  };
  return match.route.handle(arm, call);
}

function poll(arm: Arm, id: string, wantsResult: boolean): Reply {
  if (!wantsResult) return { kind: "done", status: 200, body: arm.operations.status(id) };
  const result = arm.operations.result(id);
  if (result === undefined) return { kind: "done", status: 202 };
  return { kind: "done", status: 200, body: result.value };
}

function send(response: ServerResponse, path: string, reply: Reply): void {
  if (reply.kind === "done") {
    if (reply.status === 202) response.setHeader("Retry-After", "1");
    write(response, reply.status, reply.body);
    return;
  }
  const [, , subscription = ""] = path.split("/");
  const { operationId, shape, status, first } = reply;
  const statusUrl = `${armOrigin}/subscriptions/${subscription}/providers/Microsoft.Compute/locations/local/operations/${operationId}?api-version=2026-04-01`;
  if (shape !== "both") madeByFault(response);
  if (shape !== "location") response.setHeader("Azure-AsyncOperation", statusUrl);
  if (shape !== "async") response.setHeader("Location", `${statusUrl}&monitor=true`);
  response.setHeader("Retry-After", "1");
  write(response, status, first);
}

function write(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status).end(body === undefined ? undefined : JSON.stringify(said(response, body)));
}

async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const parts: Buffer[] = [];
  let seen = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    seen += part.length;
    if (seen > bodyLimitBytes) throw new ServiceError(413, "RequestEntityTooLarge", "The request is too large.");
    parts.push(part);
  }
  if (seen === 0) return {};
  try {
    return asObject(said(request, JSON.parse(Buffer.concat(parts).toString("utf8"))));
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : "";
    throw new ServiceError(
      400,
      "InvalidRequestContent",
      `The request content was invalid and could not be deserialized: ${text}`,
    );
  }
}

function sendError(response: ServerResponse, error: unknown): void {
  const known =
    error instanceof ServiceError
      ? error
      : new ServiceError(500, "InternalServerError", error instanceof Error ? error.message : "");
  for (const [name, value] of Object.entries(known.headers)) response.setHeader(name, value);
  write(response, known.status, known.body);
}
