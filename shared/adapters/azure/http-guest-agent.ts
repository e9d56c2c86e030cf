/**
 * The guest behind a webhook (docs/guest-webhook.md). It is asked once: what is worth a second freeze is for the run to decide,
 * and a thaw that failed is the reconciler's.
 *
 * Every wait ends well before the freeze does: a guest that takes longer to freeze than half its limit leaves no time for snapshots.
 */
import { z } from "zod";
import { FarsideError } from "../../core/errors.ts";
import type { GuestAgent, GuestState } from "../../ports/guest-agent.ts";

const level = z.enum(["application", "filesystem"]);
const frozenAnswer = z.object({ frozen: z.literal(true), level });
const thawedAnswer = z.object({ thawed: z.literal(true), wasFrozen: z.boolean().optional() });
const stateAnswer = z.object({ frozen: z.boolean(), level: level.optional(), token: z.string().optional() });

/** How long an answer may take, in milliseconds. */
export interface GuestLimits {
  readonly freezeMs: number;
  readonly thawMs: number;
  readonly stateMs: number;
}

const defaultLimits: GuestLimits = { freezeMs: 30_000, thawMs: 10_000, stateMs: 5000 };
const longestAnswer = 64 * 1024;

export class HttpGuestAgent implements GuestAgent {
  readonly #limits: GuestLimits;

  /** Only tests give other limits. */
  constructor(limits: GuestLimits = defaultLimits) {
    this.#limits = limits;
  }

  async freeze(guestUrl: string, request: { ttlSeconds: number; token: string }, signal: AbortSignal) {
    const limitMs = Math.min(this.#limits.freezeMs, request.ttlSeconds * 500);
    const answer = await ask(guestUrl, "freeze", request, frozenAnswer, limitMs, signal);
    return { level: answer.level };
  }

  async thaw(guestUrl: string, token: string, signal: AbortSignal): Promise<{ wasFrozen?: boolean }> {
    const { wasFrozen } = await ask(guestUrl, "thaw", { token }, thawedAnswer, this.#limits.thawMs, signal);
    return wasFrozen === undefined ? {} : { wasFrozen };
  }

  async state(guestUrl: string, signal: AbortSignal): Promise<GuestState> {
    const { frozen, level, token } = await ask(guestUrl, "state", undefined, stateAnswer, this.#limits.stateMs, signal);
    return {
      frozen,
      ...(level === undefined ? {} : { level }),
      ...(token === undefined ? {} : { token }),
    };
  }
}

async function ask<T>(
  guestUrl: string,
  verb: "freeze" | "thaw" | "state",
  body: object | undefined,
  answer: z.ZodType<T>,
  limitMs: number,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const url = URL.parse(guestUrl);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new FarsideError(
      "guest-failed",
      `The guest's address is not an http or https URL: correct the VM's guest URL.`,
    );
  }
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${verb}`;
  // A user and password in the URL go as a header; fetch refuses them in the URL.
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (url.username !== "") {
    const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers["authorization"] = `Basic ${Buffer.from(login).toString("base64")}`;
    url.username = "";
    url.password = "";
  }
  // Neither path nor query nor user: they may hold a secret.
  const failed = (why: string, cause?: unknown, status?: number): FarsideError =>
    new FarsideError("guest-failed", `The guest at ${url.host} did not ${doing[verb]}: ${why}.`, {
      ...(cause === undefined ? {} : { cause }),
      details: { host: url.host, verb, ...(status === undefined ? {} : { status }) },
    });
  const limit = AbortSignal.timeout(limitMs);
  let text: string;
  let status: number;
  try {
    const response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers,
      redirect: "error",
      signal: AbortSignal.any([signal, limit]),
    });
    status = response.status;
    text = await readAtMost(response, longestAnswer);
  } catch (error) {
    signal.throwIfAborted();
    throw failed(limit.aborted ? `no answer within ${limitMs / 1000} s` : networkReason(error), error);
  }
  if (status !== 200) throw failed(`it answered ${status}`, undefined, status);
  const parsed = answer.safeParse(parseJson(text));
  if (!parsed.success)
    throw failed(
      `its answer is not what was agreed (${parsed.error.issues[0]?.path.join(".") || "body"})`,
      undefined,
      status,
    );
  return parsed.data;
}

const doing = { freeze: "freeze", thaw: "thaw", state: "tell its state" } as const;

async function readAtMost(response: Response, most: number): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) {
    text += decoder.decode(piece as Uint8Array, { stream: true });
    if (text.length > most) throw new Error("too long");
  }
  return text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** fetch hides the reason in the cause; only its code is shown. */
function networkReason(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  if (typeof code === "string") return code;
  return error instanceof Error && error.message === "too long" ? "its answer is too long" : "the connection failed";
}
