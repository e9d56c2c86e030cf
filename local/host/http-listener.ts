/**
 * The HTTP side of the host: the functions' routes and the few endpoints of the host itself.
 *
 * 1. A path or method that no function has is 404; a missing or wrong key is 401; a body over the limit is 413.
 * 2. A function that fails is 500 with an empty body: what went wrong is in the log, not on the wire.
 * 3. A function that does not answer within the time of Azure's load balancer gets its caller a 504; it goes on running.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { FarsideError } from "../../shared/core/errors.ts";
import type { FunctionRunner } from "./function-runner.ts";
import type { FunctionEntry, HttpFunction } from "./function-table.ts";
import { readBody, requestData, writeAnswer } from "./http-message.ts";
import { isAllowed, isMasterKey, presentedKey, type Keys } from "./keys.ts";
import { describeError, type LogSink } from "./log.ts";
import { pathSegments } from "./route-template.ts";

export interface HttpOptions {
  readonly keys: Keys;
  readonly requireKeys: boolean;
  readonly bodyLimitBytes: number;
  readonly answerTimeoutMs: number;
  readonly log: LogSink;
}

/** What requests are served with once the app has been loaded; before that they get 503. */
export interface HttpApp {
  readonly hostId: string;
  readonly functions: readonly FunctionEntry[];
  readonly runner: FunctionRunner;
  /** Starts a function that is no HTTP function. */
  readonly runByHand: (entry: FunctionEntry, input: string) => Promise<unknown>;
}

export class HttpListener {
  readonly port: number;
  readonly #server: Server;
  readonly #options: HttpOptions;
  #app: HttpApp | undefined;
  #routes: readonly HttpFunction[] = [];

  private constructor(server: Server, options: HttpOptions) {
    this.#server = server;
    this.#options = options;
    this.port = (server.address() as AddressInfo).port;
    server.on("request", (request, response) => void this.#serve(request, response));
  }

  /** @throws FarsideError `unavailable` where the port is taken. */
  static async start(port: number, options: HttpOptions): Promise<HttpListener> {
    const server = createServer();
    // Longer than clients keep an idle connection: the side that closes first decides whether a request is lost.
    server.keepAliveTimeout = 120_000;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => {
        const problem = error.code === "EADDRINUSE" ? "it is in use" : error.message;
        const text = `The host cannot listen on 127.0.0.1:${port}: ${problem}. Use another port, or 0 for any free one.`;
        reject(new FarsideError("unavailable", text, { cause: error, details: { port } }));
      });
      server.listen(port, "127.0.0.1", resolve);
    });
    return new HttpListener(server, options);
  }

  /** From now on requests are served; the more exact routes first. */
  serve(app: HttpApp): void {
    this.#app = app;
    this.#routes = app.functions
      .filter((entry): entry is HttpFunction => entry.kind === "http" && !entry.disabled)
      .sort((a, b) => (a.route.precedence < b.route.precedence ? -1 : 1));
  }

  /** Takes no new connections, and no new requests on the old ones. */
  stopListening(): void {
    this.#app = undefined;
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#answer(request, response);
    } catch (error) {
      // A client that went away while it sent its body is no news.
      const level = request.destroyed || response.destroyed ? "debug" : "error";
      this.#options.log(level, "Host.Http", `${request.method} ${pathOf(request)} failed: ${describeError(error)}`);
      if (response.headersSent) response.destroy();
      else status(response, 500);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const app = this.#app;
    if (app === undefined) return status(response, 503);
    const url = URL.parse(request.url ?? "/", `http://${request.headers.host ?? `127.0.0.1:${this.port}`}`);
    const segments = pathSegments(pathOf(request));
    if (url === null || segments === undefined) return status(response, 400);
    const key = presentedKey(request.headers, url.searchParams);
    if (segments.length === 0) return text(response, 200, "The Farside functions host is running.\n");
    if (segments[0]?.toLowerCase() === "admin") return this.#admin(app, request, response, segments, key);
    const found = this.#find(request.method ?? "GET", segments);
    if (found === undefined) return status(response, 404);
    const { entry, params } = found;
    if (this.#options.requireKeys && !isAllowed(this.#options.keys, entry, key)) return status(response, 401);
    const body = await readBody(request, this.#options.bodyLimitBytes);
    if (body === "too-large") {
      // The rest of the body is not read, so the connection cannot be used again.
      response.setHeader("connection", "close");
      return status(response, 413);
    }
    const run = app.runner.run(entry, {
      reason: "This function was called over HTTP.",
      data: requestData(request, url, params, body),
    });
    const timeUp = Promise.withResolvers<"time-up">();
    const timer = setTimeout(() => timeUp.resolve("time-up"), this.#options.answerTimeoutMs);
    const end = await Promise.race([run, timeUp.promise]);
    clearTimeout(timer);
    if (end === "time-up") return status(response, 504);
    if (end.kind === "succeeded") return writeAnswer(response, end.returnValue);
    return status(response, 500);
  }

  #find(
    method: string,
    segments: readonly string[],
  ): { entry: HttpFunction; params: Record<string, string> } | undefined {
    for (const entry of this.#routes) {
      if (!entry.methods.includes(method.toUpperCase())) continue;
      const params = entry.route.match(segments);
      if (params !== undefined) return { entry, params };
    }
    return undefined;
  }

  async #admin(
    app: HttpApp,
    request: IncomingMessage,
    response: ServerResponse,
    segments: readonly string[],
    key: string | undefined,
  ): Promise<void> {
    const { keys, requireKeys } = this.#options;
    const [, area, name] = segments.map((segment) => segment.toLowerCase());
    const call = `${request.method} ${area ?? ""}`;
    if (call === "GET host" && name === "ping") return status(response, 200);
    if (requireKeys && !isMasterKey(keys, key)) return status(response, 401);
    if (call === "GET host" && name === "status") {
      return json(response, 200, {
        id: app.hostId,
        state: "Running",
        processUptime: Math.round(process.uptime() * 1000),
      });
    }
    if (call === "GET functions" && name === undefined) {
      return json(
        response,
        200,
        app.functions.map((entry) => ({ name: entry.name, kind: entry.kind, isDisabled: entry.disabled })),
      );
    }
    const entry = app.functions.find((one) => one.name.toLowerCase() === name && one.kind !== "http");
    if (call !== "POST functions" || entry === undefined) return status(response, 404);
    const body = await readBody(request, this.#options.bodyLimitBytes);
    const input = body === "too-large" ? undefined : inputOf(body.toString("utf8"));
    if (input === undefined) return text(response, 400, 'The body must be JSON such as {"input": "…"}.\n');
    void app.runByHand(entry, input);
    return status(response, 202);
  }
}

/** The text for a queue function; a timer has no use for it. */
function inputOf(body: string): string | undefined {
  if (body.trim() === "") return "";
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== "object" || value === null) return undefined;
    const input: unknown = "input" in value ? value.input : "";
    return typeof input === "string" ? input : JSON.stringify(input);
  } catch {
    return undefined;
  }
}

/** Without the query, which may hold a key. */
const pathOf = (request: IncomingMessage): string => (request.url ?? "/").split("?")[0] ?? "/";

function status(response: ServerResponse, code: number): void {
  response.writeHead(code, { "content-length": 0 }).end();
}

function text(response: ServerResponse, code: number, body: string): void {
  response.writeHead(code, { "content-type": "text/plain; charset=utf-8" }).end(body);
}

function json(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
}
