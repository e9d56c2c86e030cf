/**
 * A reverse proxy in front of one storage service, for tests with the real clients: it counts requests, injects faults, and can
 * answer the changed-page list as the real service does (the emulator lists every page instead).
 *
 * The Host header goes through unchanged, so that signatures stay right.
 */
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { exactPageDiff, type ExactDiffOptions } from "./exact-page-diff.ts";

type RequestKind =
  | "create-page-blob"
  | "put-page"
  | "clear-page"
  | "snapshot"
  | "page-list"
  | "page-diff"
  | "read"
  | "head"
  | "put"
  | "list"
  | "remove"
  | "other";

export interface SeenRequest {
  readonly kind: RequestKind;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

type Fault =
  /** Answered here; the service never sees the request. */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly code?: string;
      readonly headers?: Record<string, string>;
    }
  /** The connection breaks before, or after, the service has done what was asked. */
  | { readonly kind: "reset"; readonly when: "before" | "after" }
  /** The answer's body ends after so many bytes, with a break of the connection. */
  | { readonly kind: "cut-body"; readonly afterBytes: number }
  | { readonly kind: "delay"; readonly ms: number }
  /** The service gets the request twice, the second time before the first is answered. */
  | { readonly kind: "twice" }
  /** The service's answer never comes. */
  | { readonly kind: "silence" };

interface InjectedFault {
  /** How often it struck. A test whose fault was never reached proves nothing. */
  readonly hits: number;
}

export interface StorageProxy {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  count(kind: RequestKind): number;
  /** The next `times` requests of this kind, or those that fit, meet the fault. */
  inject(which: RequestKind | ((request: SeenRequest) => boolean), fault: Fault, times?: number): InjectedFault;
  /** Forgets faults and counts. */
  reset(): void;
  close(): Promise<void>;
}

export interface StorageProxyOptions {
  /** Of the account behind it; given, changed-page lists are answered exactly. */
  readonly exactDiff?: ExactDiffOptions;
}

interface Injection {
  readonly fits: (request: SeenRequest) => boolean;
  readonly fault: Fault;
  left: number;
  hits: number;
}

/** `upstream` is a service's URL without a path, `http://127.0.0.1:PORT`. */
export async function startStorageProxy(upstream: string, options: StorageProxyOptions = {}): Promise<StorageProxy> {
  const { hostname, port } = new URL(upstream);
  const agent = new Agent({ keepAlive: true });
  const requests: SeenRequest[] = [];
  let injections: Injection[] = [];

  const forward = (incoming: IncomingMessage, body: Buffer): Promise<{ answer: IncomingMessage; content: Buffer }> =>
    new Promise((resolve, reject) => {
      const { method = "GET", url = "/", headers } = incoming;
      const outgoing = httpRequest({ hostname, port, method, path: url, headers, agent }, (answer) => {
        collect(answer).then((content) => resolve({ answer, content }), reject);
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await collect(incoming);
    const seen = describe(incoming);
    requests.push(seen);
    const injection = injections.find((one) => one.left > 0 && one.fits(seen));
    if (injection !== undefined) {
      injection.left--;
      injection.hits++;
    }
    const fault = injection?.fault;
    if (fault?.kind === "silence") return;
    if (fault?.kind === "reset" && fault.when === "before") return void incoming.socket.resetAndDestroy();
    if (fault?.kind === "answer") return answerFault(response, fault);
    if (fault?.kind === "delay") await sleep(fault.ms);
    const doubled = fault?.kind === "twice" ? forward(incoming, body) : undefined;
    let { answer, content } = await forward(incoming, body);
    await doubled;
    if (fault?.kind === "reset") return void incoming.socket.resetAndDestroy();
    let headers = { ...answer.headers };
    let status = answer.statusCode ?? 502;
    if (options.exactDiff !== undefined && seen.kind === "page-diff" && status === 200) {
      // The service has checked the signature; only its list is replaced.
      const exact = await exactPageDiff(seen, options.exactDiff);
      status = exact.status;
      content = Buffer.from(exact.xml);
      headers = { "content-type": "application/xml", ...exact.headers };
    }
    if (seen.method !== "HEAD") {
      delete headers["transfer-encoding"];
      headers["content-length"] = String(content.length);
    }
    response.writeHead(status, headers);
    if (fault?.kind === "cut-body" && content.length > fault.afterBytes) {
      response.write(content.subarray(0, fault.afterBytes), () => incoming.socket.destroy());
      return;
    }
    response.end(content);
  };

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => incoming.socket.destroy());
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    count: (kind) => requests.filter((request) => request.kind === kind).length,
    inject: (which, fault, times = 1) => {
      const fits = typeof which === "function" ? which : (request: SeenRequest): boolean => request.kind === which;
      const injection = { fits, fault, left: times, hits: 0 };
      injections.push(injection);
      return injection;
    },
    reset: () => {
      requests.length = 0;
      injections = [];
    },
    close: async () => {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The connection string of an account, its blob service reached through the proxy. */
export function throughProxy(connectionString: string, proxy: StorageProxy, service = "Blob"): string {
  return connectionString.replace(
    new RegExp(`(${service}Endpoint=)http://[^/]+`),
    (_, name: string) => `${name}${proxy.url}`,
  );
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function answerFault(response: ServerResponse, fault: Extract<Fault, { kind: "answer" }>): void {
  const code = fault.code ?? "InjectedFault";
  const xml = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>Injected.</Message></Error>`;
  const headers = { "content-type": "application/xml", "x-ms-error-code": code, ...fault.headers };
  response.writeHead(fault.status, headers).end(xml);
}

function describe(incoming: IncomingMessage): SeenRequest {
  const url = new URL(incoming.url ?? "/", "http://proxy");
  const { method = "GET", headers } = incoming;
  return {
    kind: kindOf(method, url.searchParams, headers),
    method,
    path: url.pathname,
    query: url.searchParams,
    headers,
  };
}

function kindOf(method: string, query: URLSearchParams, headers: IncomingMessage["headers"]): RequestKind {
  const comp = query.get("comp");
  if (comp === "pagelist") return query.has("prevsnapshot") ? "page-diff" : "page-list";
  if (comp === "page") return headers["x-ms-page-write"] === "clear" ? "clear-page" : "put-page";
  if (comp === "snapshot") return "snapshot";
  if (comp === "list") return "list";
  if (comp !== null || query.has("restype")) return "other";
  if (method === "PUT") return headers["x-ms-blob-type"] === "PageBlob" ? "create-page-blob" : "put";
  if (method === "GET") return "read";
  if (method === "HEAD") return "head";
  return method === "DELETE" ? "remove" : "other";
}
