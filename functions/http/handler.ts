/** Turns a route and what it does into an HTTP function: checks the request, sets the deadline, answers problems. */
import type { HttpHandler, HttpRequest, HttpResponseInit, InvocationContext } from "@azure/functions";
import { errorRecord, FarsideError } from "../../shared/core/errors.ts";
import type { RunId } from "../../shared/core/ids.ts";
import { idempotencyKeySchema } from "../../shared/wire/http/page.ts";
import { inputError, parseWith } from "../../shared/wire/http/parse.ts";
import { problemOf } from "../../shared/wire/http/problem.ts";
import type { Route } from "../../shared/wire/http/routes.ts";
import type { App } from "../../shared/compose/app.ts";
import { withHttpDeadline } from "../deadline.ts";

interface Call<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly idempotencyKey: string | undefined;
}

interface Reply {
  readonly status: number;
  readonly body?: unknown;
  /** The run that was asked for: its addresses become headers. */
  readonly runId?: RunId;
}

type Handle<Params, Query, Body> = (app: App, call: Call<Params, Query, Body>, signal: AbortSignal) => Promise<Reply>;

/** A route with what it does. */
export interface Endpoint {
  readonly route: Route;
  readonly handler: (app: App) => HttpHandler;
}

const maxBodyCharacters = 1024 * 1024;
const secondsBetweenPolls = "2";

export function endpoint<Params, Query, Body>(
  route: Route<Params, Query, Body>,
  handle: Handle<Params, Query, Body>,
): Endpoint {
  const handler = (app: App): HttpHandler => {
    return async (request, invocation) => {
      try {
        const call = await readCall(route, request);
        const reply = await withHttpDeadline(app, (signal) => handle(app, call, signal));
        return responseOf(request, reply);
      } catch (error) {
        if (errorRecord(error).code === "internal") await logDefect(app, route.name, invocation, error);
        return problemResponse(request, error);
      }
    };
  };
  return { route, handler };
}

/** By the app's own log, which takes out what looks like a secret: nobody knows what stands in such an error. */
async function logDefect(app: App, name: string, invocation: InvocationContext, error: unknown): Promise<void> {
  try {
    const { log } = await app.context();
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.log("error", "http-failed", { function: name, stack });
  } catch {
    invocation.error(`http-failed function=${name}: the app could not be composed.`);
  }
}

async function readCall<Params, Query, Body>(
  route: Route<Params, Query, Body>,
  request: HttpRequest,
): Promise<Call<Params, Query, Body>> {
  const query = Object.fromEntries(request.query);
  // A function key may stand in the query: the host has checked it, and it is none of ours.
  delete query["code"];
  return {
    params: parseWith(route.params, { ...request.params }, "path"),
    query: parseWith(route.query, query, "query"),
    body:
      route.body === undefined ? (undefined as Body) : parseWith(route.body, await readBody(route, request), "body"),
    idempotencyKey: route.idempotent === undefined ? undefined : idempotencyKeyOf(request),
  };
}

async function readBody<Params, Query, Body>(
  route: Route<Params, Query, Body>,
  request: HttpRequest,
): Promise<unknown> {
  const text = await request.text();
  if (text.length > maxBodyCharacters) {
    throw inputError([{ path: "", message: `it is longer than ${maxBodyCharacters} characters` }], "body");
  }
  if (text.trim() === "" && route.bodyOptional === true) return {};
  try {
    return JSON.parse(text);
  } catch {
    throw inputError([{ path: "", message: "it is not JSON" }], "body");
  }
}

function idempotencyKeyOf(request: HttpRequest): string | undefined {
  const key = request.headers.get("idempotency-key");
  if (key === null) return undefined;
  const parsed = idempotencyKeySchema.safeParse(key);
  if (parsed.success) return parsed.data;
  throw new FarsideError(
    "bad-input",
    `The header Idempotency-Key is not valid: ${parsed.error.issues[0]?.message ?? ""}`,
  );
}

function responseOf(request: HttpRequest, reply: Reply): HttpResponseInit {
  return {
    status: reply.status,
    headers: { "cache-control": "no-store", ...(reply.runId === undefined ? {} : runHeaders(request, reply.runId)) },
    ...(reply.body === undefined ? {} : { jsonBody: reply.body }),
  };
}

function runHeaders(request: HttpRequest, runId: RunId): Record<string, string> {
  const url = runUrl(request, runId);
  return { location: url, "operation-location": url, "retry-after": secondsBetweenPolls };
}

/** Absolute, as Operation-Location is by custom; the address is the one that the caller used. */
function runUrl(request: HttpRequest, runId: string): string {
  return new URL(`/api/runs/${runId}`, request.url).href;
}

function problemResponse(request: HttpRequest, error: unknown): HttpResponseInit {
  const problem = problemOf(error);
  const headers: Record<string, string> = { "content-type": "application/problem+json", "cache-control": "no-store" };
  if (problem.code === "run-active" && problem.runId !== undefined)
    headers["location"] = runUrl(request, problem.runId);
  if (error instanceof FarsideError && error.advice === "retry" && problem.status === 503) {
    headers["retry-after"] = String(Math.max(1, Math.ceil((error.retryAfterMs ?? 5000) / 1000)));
  }
  return { status: problem.status, headers, body: JSON.stringify(problem) };
}
