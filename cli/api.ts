/** The HTTP API as the verbs use it. Problems become the same errors that the service had. */
import { z } from "zod";
import type { ErrorCode, ErrorDetails } from "../shared/core/errors.ts";
import { errorCodes, FarsideError } from "../shared/core/errors.ts";
import { problemSchema } from "../shared/wire/http/problem.ts";
import type { ApiAccess } from "./settings.ts";
import { apiAccess } from "./settings.ts";
import type { Verb } from "./verb.ts";

const requestLimitMs = 120_000;
/** A request that is safe to repeat is tried once more where the connection broke. */
const pageLimit = 1000;

export interface Answer<T> {
  /** As it came: what --json shows. */
  readonly raw: unknown;
  readonly value: T;
  readonly status: number;
}

export class Api {
  readonly #access: ApiAccess;
  readonly #signal: AbortSignal;

  constructor(verb: Verb) {
    this.#access = apiAccess(verb);
    this.#signal = verb.signal;
  }

  get<T>(path: string, schema: z.ZodType<T>): Promise<Answer<T>> {
    return this.#send("GET", path, schema);
  }

  put<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<Answer<T>> {
    return this.#send("PUT", path, schema, body);
  }

  post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<Answer<T>> {
    return this.#send("POST", path, schema, body);
  }

  async remove(path: string): Promise<void> {
    await this.#send("DELETE", path, z.unknown());
  }

  /** Every item of a list, or the first `most`. */
  async list<T>(
    path: string,
    schema: z.ZodType<T>,
    query: Readonly<Record<string, string | undefined>> = {},
    most = Number.POSITIVE_INFINITY,
  ): Promise<{ readonly raw: readonly unknown[]; readonly items: readonly T[] }> {
    const page = z.object({ items: z.array(z.unknown()), continuation: z.string().optional() });
    const raw: unknown[] = [];
    let continuation: string | undefined;
    do {
      const given = { ...query, limit: String(Math.min(pageLimit, most - raw.length)), continuation };
      const search = new URLSearchParams(
        Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined),
      );
      const answer = await this.get(`${path}?${search.toString()}`, page);
      raw.push(...answer.value.items);
      continuation = answer.value.continuation;
    } while (continuation !== undefined && raw.length < most);
    return { raw, items: raw.map((item) => this.#parse(schema, item, path)) };
  }

  async #send<T>(method: string, path: string, schema: z.ZodType<T>, body?: unknown): Promise<Answer<T>> {
    const url = new URL(`api/${path}`, `${this.#access.url.replace(/\/+$/, "")}/`);
    const response = await this.#fetch(url, {
      method,
      headers: {
        "x-functions-key": this.#access.key,
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(requestLimitMs)]),
    });
    const raw = await this.#json(response, url);
    if (!response.ok) throw problemError(response.status, raw, url);
    return { raw, value: this.#parse(schema, raw, path), status: response.status };
  }

  async #fetch(url: URL, init: RequestInit): Promise<Response> {
    try {
      return await fetch(url, init);
    } catch (cause) {
      throw this.#unanswered(url, cause);
    }
  }

  async #json(response: Response, url: URL): Promise<unknown> {
    try {
      const text = await response.text();
      return text === "" ? undefined : JSON.parse(text);
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw this.#unanswered(url, cause);
      throw new FarsideError("unavailable", `${url.origin} did not answer as Farside does: check FARSIDE_URL.`, {
        cause,
      });
    }
  }

  #unanswered(url: URL, cause: unknown): FarsideError {
    this.#signal.throwIfAborted();
    return new FarsideError(
      "unavailable",
      `The service at ${url.origin} did not answer: check FARSIDE_URL, or start the local stack with "farside up".`,
      { cause, details: { url: url.origin } },
    );
  }

  #parse<T>(schema: z.ZodType<T>, value: unknown, path: string): T {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw new FarsideError(
      "unavailable",
      `The answer to ${path} is not one that this release of the command line knows: use the release of the service.`,
      { cause: parsed.error },
    );
  }
}

const standardMembers = new Set(["type", "title", "status", "detail", "code", "instance"]);

function problemError(status: number, raw: unknown, url: URL): FarsideError {
  const problem = problemSchema.safeParse(raw);
  if (problem.success) {
    const { code, detail } = problem.data;
    const details = Object.entries(problem.data).filter(([name]) => !standardMembers.has(name));
    return new FarsideError(code, detail, { details: Object.fromEntries(details) as ErrorDetails });
  }
  if (status === 401) {
    return new FarsideError("unauthorized", `The service at ${url.origin} did not accept the key: check FARSIDE_KEY.`);
  }
  const code = codeOfStatus(status);
  return new FarsideError(
    code,
    `The service at ${url.origin} answered ${status} to ${url.pathname}: ${errorCodes[code].title}.`,
    {
      details: { status },
    },
  );
}

/** Without a problem document it was the host or something in between that answered. */
function codeOfStatus(status: number): ErrorCode {
  if (status === 404) return "not-found";
  return status === 429 || status >= 500 ? "unavailable" : "internal";
}
