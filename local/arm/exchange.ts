/** Tells of each request and its answer, of ARM and of the disks' bytes, so that somebody can hold both against the specifications. */
import type { IncomingMessage, ServerResponse } from "node:http";

export interface ArmExchange {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Undefined where there is none. */
  readonly requestBody: unknown;
  /** Lower-case names. */
  readonly requestHeaders: Readonly<Record<string, string | undefined>>;
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: unknown;
  /** A fault made this answer as it is: its headers need not be as the specification has them. */
  readonly isPlanned: boolean;
}

const bodies = new WeakMap<IncomingMessage | ServerResponse, unknown>();
const planned = new WeakSet<ServerResponse>();

/** `tell` is called when the answer was sent. */
export function overhear(
  request: IncomingMessage,
  response: ServerResponse,
  tell: (exchange: ArmExchange) => void,
): void {
  response.on("finish", () => {
    const headers = Object.entries(response.getHeaders()).map(([name, value]) => [name, value?.toString()]);
    tell({
      method: request.method ?? "",
      url: request.url ?? "",
      requestBody: bodies.get(request),
      requestHeaders: Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, value?.toString()]),
      ),
      status: response.statusCode,
      headers: Object.fromEntries(headers),
      // As it went out: what is undefined did not.
      body: bodies.has(response) ? (JSON.parse(JSON.stringify(bodies.get(response))) as unknown) : undefined,
      isPlanned: planned.has(response),
    });
  });
}

/** Remembers what a request or an answer says: JSON of ARM, XML of a disk, of whose bytes nothing is remembered. */
export function said<T>(message: IncomingMessage | ServerResponse, body: T): T {
  bodies.set(message, body);
  return body;
}

export function madeByFault(response: ServerResponse): void {
  planned.add(response);
}
