/**
 * Clients of Azure Resource Manager, one for each subscription.
 *
 * 1. Nothing is tried again here: the SDK waits for a Retry-After however long it is, which would hold a function. The queue repeats.
 * 2. What is read is read as ARM wrote it (`get`), for the captured configuration keeps what the SDK's models would drop; and what a restore
 *    makes of it is written so again (`change`). What a backup makes goes through the SDK.
 */
import type * as Compute from "@azure/arm-compute";
import type { ComputeManagementClient } from "@azure/arm-compute";
import type * as RestPipeline from "@azure/core-rest-pipeline";
import type { HttpClient, PipelinePolicy } from "@azure/core-rest-pipeline";
import type { TokenCredential } from "@azure/identity";
import { FarsideError } from "../../../core/errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import { resourceParts, type ResourceGroupId, type ResourceParts } from "../../../core/resource-id.ts";
import { boundedCall } from "../bounded-call.ts";
import { armError } from "./arm-errors.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface ArmSettings {
  readonly credential: TokenCredential;
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  /** Where something else than Azure answers: the local ARM. */
  readonly httpClient?: HttpClient;
}

const origin = "https://management.azure.com";
/** Above what ARM takes for a single answer. */
const callLimitMs = 30_000;

/**
 * Of the requests that do not go through the SDK's own calls: the versions that the SDK 25.1.1 uses, and one each of the network, of resource
 * groups and of permissions.
 */
export const apiVersions = {
  compute: "2026-04-01",
  disk: "2026-03-02",
  skus: "2021-07-01",
  network: "2024-05-01",
  groups: "2021-04-01",
  permissions: "2022-04-01",
} as const;

/** A request that makes, changes or removes a resource, or acts on it. */
export interface ArmChange {
  readonly method: "PUT" | "PATCH" | "POST" | "DELETE";
  readonly id: string;
  /** Of a POST: `deallocate`. */
  readonly action?: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Refused by `conflict` (412) where it exists already, by those resource providers that know the header. */
  readonly onlyNew?: boolean;
}

export interface ArmAnswer {
  readonly status: number;
  readonly body: unknown;
  /** Where its operation tells how it goes: a status (Azure-AsyncOperation), or 202 until its end (Location). */
  readonly operation?: { readonly kind: "status" | "result"; readonly url: string };
}

type Sdk = typeof Compute;
type Rest = typeof RestPipeline;

export class ArmConnection {
  readonly sdk: Sdk;
  readonly #rest: Rest;
  readonly #settings: ArmSettings;
  readonly #httpClient: HttpClient;
  readonly #clients = new Map<string, ComputeManagementClient>();

  private constructor(sdk: Sdk, rest: Rest, settings: ArmSettings) {
    this.sdk = sdk;
    this.#rest = rest;
    this.#settings = settings;
    this.#httpClient = settings.httpClient ?? rest.createDefaultHttpClient();
  }

  /** Loads the SDK, which takes a third of a second. Touches no network. */
  static async open(settings: ArmSettings): Promise<ArmConnection> {
    const [sdk, rest] = await Promise.all([import("@azure/arm-compute"), import("@azure/core-rest-pipeline")]);
    return new ArmConnection(sdk, rest, settings);
  }

  compute(subscriptionId: string): ComputeManagementClient {
    const key = subscriptionId.toLowerCase();
    const standing = this.#clients.get(key);
    if (standing !== undefined) return standing;
    const client = new this.sdk.ComputeManagementClient(this.#settings.credential, subscriptionId, {
      retryOptions: { maxRetries: 0 },
      httpClient: this.#httpClient,
      additionalPolicies: [{ policy: bucketPolicy(this.#settings.clock), position: "perCall" }],
    });
    this.#clients.set(key, client);
    return client;
  }

  /** The resource as ARM gives it. `doing` completes "Could not …". Throws `not-found` where ARM says so. */
  async get(id: string, query: Readonly<Record<string, string>>, doing: string, signal: AbortSignal): Promise<unknown> {
    const parts = requireParts(id);
    return this.#getUrl(parts.subscriptionId, `${origin}${id}?${new URLSearchParams(query).toString()}`, doing, signal);
  }

  /** Throws `not-found` where ARM says so. */
  async getGroup(id: ResourceGroupId, doing: string, signal: AbortSignal): Promise<unknown> {
    const [, , subscriptionId = ""] = id.split("/");
    return this.#getUrl(subscriptionId, `${origin}${id}?api-version=${apiVersions.groups}`, doing, signal);
  }

  /** Every item of a list in pages. */
  async *list(id: string, query: Readonly<Record<string, string>>, doing: string, signal: AbortSignal): AsyncGenerator {
    const [, , subscriptionId = ""] = id.split("/");
    let url: string | undefined = `${origin}${id}?${new URLSearchParams(query).toString()}`;
    while (url !== undefined) {
      const page = asPage(await this.#getUrl(subscriptionId, url, doing, signal));
      yield* page.value;
      // The token goes along: only to where it belongs.
      if (page.nextLink !== undefined && !page.nextLink.startsWith(`${origin}/`)) {
        throw new FarsideError("source-corrupt", `Could not ${doing}: the next page lies outside of ${origin}.`);
      }
      url = page.nextLink;
    }
  }

  /** Sends it, and does not wait for what it begins. */
  async change(change: ArmChange, doing: string, signal: AbortSignal): Promise<ArmAnswer> {
    const { method, id, action, query, body, onlyNew = false } = change;
    const path = action === undefined ? id : `${id}/${action}`;
    const url = `${origin}${path}?${new URLSearchParams(query).toString()}`;
    const headers = onlyNew ? { "If-None-Match": "*" } : {};
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    const request = { method, url, headers: { ...headers, "content-type": "application/json" }, ...text };
    return this.#send(requireParts(id).subscriptionId, request, doing, signal);
  }

  /** One look at an operation, at the URL that the service gave for it. */
  async lookAt(subscriptionId: string, url: string, doing: string, signal: AbortSignal): Promise<ArmAnswer> {
    // The token goes along: only to where it belongs.
    if (url.startsWith(`${origin}/`)) return this.#send(subscriptionId, { method: "GET", url }, doing, signal);
    throw new FarsideError("source-corrupt", `Could not ${doing}: its operation lies outside of ${origin}.`);
  }

  async #getUrl(subscriptionId: string, url: string, doing: string, signal: AbortSignal): Promise<unknown> {
    const { body } = await this.#send(subscriptionId, { method: "GET", url }, doing, signal, [200]);
    return body;
  }

  async #send(
    subscriptionId: string,
    sent: Sent,
    doing: string,
    signal: AbortSignal,
    good: readonly number[] = [200, 201, 202, 204],
  ): Promise<ArmAnswer> {
    return armCall(doing, signal, async (abortSignal) => {
      const client = this.compute(subscriptionId);
      const headers = this.#rest.createHttpHeaders(sent.headers ?? {});
      const request = this.#rest.createPipelineRequest({ ...sent, headers, abortSignal });
      const response = await client.pipeline.sendRequest(this.#httpClient, request);
      const body: unknown = parseJson(response.bodyAsText ?? "");
      const { status } = response;
      if (good.includes(status)) return { status, body, ...operationOf(response.headers) };
      throw Object.assign(
        new this.#rest.RestError(`ARM answered ${status}`, { statusCode: status, request, response }),
        { details: body },
      );
    });
  }
}

interface Sent {
  readonly method: ArmChange["method"] | "GET";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Where there are both, the status tells more. */
function operationOf(headers: { get(name: string): string | undefined }): Pick<ArmAnswer, "operation"> {
  const status = headers.get("azure-asyncoperation");
  if (status !== undefined) return { operation: { kind: "status", url: status } };
  const result = headers.get("location");
  return result === undefined ? {} : { operation: { kind: "result", url: result } };
}

/** One request of ARM, or one look at an operation, with a limit over it. */
export function armCall<T>(
  doing: string,
  signal: AbortSignal,
  call: (abortSignal: AbortSignal) => Promise<T>,
  limitMs: number = callLimitMs,
): Promise<T> {
  return boundedCall({ doing, limitMs, errorOf: armError }, signal, call);
}

export function requireParts(id: string): ResourceParts {
  const parts = resourceParts(id);
  if (parts !== undefined) return parts;
  throw new FarsideError("source-corrupt", "A resource id of Azure's answer is none.", {
    details: { id: id.slice(0, 200) },
  });
}

function bucketPolicy(clock: ArmSettings["clock"]): PipelinePolicy {
  const bucket = new TokenBucket(() => clock.monotonic());
  const always = new AbortController().signal;
  return {
    name: "farsideTokenBucket",
    async sendRequest(request, next) {
      const { waitMs } = bucket.take(request.method);
      if (waitMs > 0) await clock.sleep(waitMs, always);
      return next(request);
    },
  };
}

function asPage(body: unknown): { readonly value: readonly unknown[]; readonly nextLink?: string } {
  if (typeof body === "object" && body !== null && "value" in body && Array.isArray(body.value)) {
    const { value } = body as { value: readonly unknown[] };
    const next =
      "nextLink" in body && typeof body.nextLink === "string" && body.nextLink !== "" ? body.nextLink : undefined;
    return { value, ...(next === undefined ? {} : { nextLink: next }) };
  }
  throw new FarsideError("source-corrupt", "Azure answered a list without its items.");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
