/**
 * A local stand-in for Azure Resource Manager and for the storage behind managed disks, good enough for the real SDK: on 127.0.0.1, over plain
 * HTTP. What it refuses and how it answers follows the documentation; where that is silent, docs/azure.md says so.
 *
 * 1. A request without a bearer token is 401, one without an api-version 400, an unknown one 404.
 * 2. Time is the caller's: operations end, SAS expire and buckets fill by `now` alone.
 * 3. A request that its principal has no role for is 403 before anything is looked up, as with ARM (authorization.ts).
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Arm, ArmCall, Reply } from "./arm.ts";
import { ServiceError } from "./service-error.ts";
import { armOrigin, ok } from "./arm.ts";
import { ArmRouter, resourceId } from "./arm-router.ts";
import type { Authorization } from "./authorization.ts";
import { serveData } from "./data/data-endpoint.ts";
import { Grants } from "./data/grants.ts";
import { DiskStore } from "./disks/disk-store.ts";
import { bytesNamed } from "./disks/guest-state.ts";
import { ArmFaults } from "./faults.ts";
import { accessRoutes } from "./handlers/access.ts";
import { diskRoutes } from "./handlers/disks.ts";
import { networkRoutes } from "./handlers/network.ts";
import { restorePointRoutes } from "./handlers/restore-points.ts";
import { snapshotRoutes } from "./handlers/snapshots.ts";
import { subscriptionRoutes } from "./handlers/subscriptions.ts";
import { virtualMachineRoutes } from "./handlers/virtual-machines.ts";
import { Operations } from "./operations.ts";
import { RegionOffers } from "./region-offers.ts";
import { asObject, Resources, type Json } from "./resources.ts";
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
  /** Who may do what; without it everybody may do everything. */
  readonly authorization?: Authorization;
}

export interface ArmServer {
  readonly url: string;
  readonly arm: Arm;
  stop(): Promise<void>;
}

const router = new ArmRouter([
  ...virtualMachineRoutes,
  ...diskRoutes,
  ...snapshotRoutes,
  ...restorePointRoutes,
  ...accessRoutes,
  ...networkRoutes,
  ...subscriptionRoutes,
]);

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
    offers: new RegionOffers(),
    now: options.now,
    takes: options.takes,
    dataUrl: () => url,
  };
  const throttle = new Throttle();
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    if ((request.url ?? "").startsWith("/md-")) void serveData(dataContext(arm), request, response);
    else {
      options.onRequest?.(`${request.method ?? ""} ${request.url?.split("?")[0] ?? ""}`);
      void serveArm({ arm, throttle, url, authorization: options.authorization }, request, response);
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
  };
}

interface Region {
  readonly arm: Arm;
  readonly throttle: Throttle;
  readonly url: string;
  readonly authorization: Authorization | undefined;
}

async function serveArm(
  { arm, throttle, url, authorization }: Region,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader("x-ms-request-id", randomUUID());
  response.setHeader("content-type", "application/json; charset=utf-8");
  try {
    arm.operations.settle(arm.now());
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
    if (planned !== undefined) throw planned;
    const family = familyOf(method);
    const left = throttle.take(path.split("/")[2] ?? "", family, arm.now());
    response.setHeader(`x-ms-ratelimit-remaining-subscription-${family}`, left);
    const body = method === "GET" || method === "DELETE" ? {} : await readJson(request);
    const principal = request.headers.authorization?.slice("Bearer ".length) ?? "";
    authorization?.check({ principal, method, path, body });
    const permissions = /^(.+)\/providers\/Microsoft\.Authorization\/permissions$/i.exec(path)?.[1];
    if (authorization !== undefined && permissions !== undefined) {
      send(response, path, ok({ value: authorization.permissionsAt(principal, permissions) }));
      return;
    }
    const onlyNew = request.headers["if-none-match"] === "*";
    const reply = await replyTo(arm, method, path, { query: searchParams, body, onlyNew });
    send(response, path, reply);
  } catch (error) {
    sendError(response, error);
  }
}

async function replyTo(
  arm: Arm,
  method: string,
  path: string,
  asked: Pick<ArmCall, "query" | "body" | "onlyNew">,
): Promise<Reply> {
  const operation =
    /^\/subscriptions\/[^/]+\/providers\/Microsoft\.\w+\/locations\/[^/]+\/(?:Disk)?operations\/([^/]+)$/i.exec(path);
  if (operation !== null && method === "GET")
    return poll(arm, operation[1] ?? "", asked.query.get("monitor") === "true");
  const match = router.find(method, path);
  if (match === undefined)
    throw new ServiceError(404, "InvalidResourceType", `${method} ${path} is not known in this region.`);
  const call: ArmCall = {
    method,
    params: match.params,
    ...asked,
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
    response.writeHead(reply.status).end(reply.body === undefined ? undefined : JSON.stringify(reply.body));
    return;
  }
  const [, , subscription = ""] = path.split("/");
  const { operationId, shape, status, first } = reply;
  const statusUrl = `${armOrigin}/subscriptions/${subscription}/providers/${operationsOf(path)}/${operationId}?api-version=2026-04-01`;
  if (shape !== "location") response.setHeader("Azure-AsyncOperation", statusUrl);
  if (shape !== "async") response.setHeader("Location", `${statusUrl}&monitor=true`);
  response.setHeader("Retry-After", "1");
  response.writeHead(status).end(first === undefined ? undefined : JSON.stringify(first));
}

/** Each provider keeps operations of its own, and those of disks and snapshots lie apart from the other ones of compute. */
function operationsOf(path: string): string {
  const provider = /\/providers\/(Microsoft\.\w+)\//i.exec(path)?.[1] ?? "Microsoft.Compute";
  const ofDisks = /\/(?:disks|snapshots|diskRestorePoints)\//i.test(path);
  return `${provider}/locations/local/${ofDisks ? "diskOperations" : "operations"}`;
}

async function readJson(request: IncomingMessage): Promise<Json> {
  const parts: Buffer[] = [];
  let seen = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    seen += part.length;
    if (seen > bodyLimitBytes) throw new ServiceError(413, "RequestEntityTooLarge", "The request is too large.");
    parts.push(part);
  }
  if (seen === 0) return {};
  try {
    return asObject(JSON.parse(Buffer.concat(parts).toString("utf8")));
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
  const { code, message } = known;
  // Throttling answers are documented flat, all others below `error`.
  const body = known.status === 429 ? { code, message } : { error: { code, message } };
  response.writeHead(known.status).end(JSON.stringify(body));
}
