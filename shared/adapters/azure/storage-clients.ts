/**
 * Clients of blob storage, all with the same limits.
 *
 * 1. A request is tried four times at most, with growing delays: only here, never in a loop above.
 * 2. A try that gets no answer within 20 s is given up and made once more on another connection: a connection that died unnoticed
 *    heals, and a frozen server is told after 40 s. The client's own `tryTimeoutInMs` is a wish to the server, who may be frozen.
 * 3. Connections are kept alive and shared (the client's default agent).
 */
import { AnonymousCredential, BlobServiceClient, ContainerClient, RestError } from "@azure/storage-blob";
import type { StoragePipelineOptions } from "@azure/storage-blob";
import type { TokenCredential } from "@azure/identity";
import { FarsideError } from "../../core/errors.ts";

export type ContainerLocation =
  | { readonly kind: "connection-string"; readonly connectionString: string; readonly container: string }
  /** With a SAS in its query, or without: then by the identity that DefaultAzureCredential finds. */
  | { readonly kind: "url"; readonly url: string };

export const defaultTryTimeoutMs = 20_000;
const retryOptions = { maxTries: 4, retryDelayInMs: 500, maxRetryDelayInMs: 10_000 } as const;

/** Touches no network. Throws `bad-configuration` for what cannot be a container. Only tests give another limit. */
export async function openContainer(
  location: ContainerLocation,
  tryTimeoutMs = defaultTryTimeoutMs,
): Promise<ContainerClient> {
  if (location.kind === "connection-string") {
    return withTryTimeout(tryTimeoutMs, (options) => {
      try {
        return new ContainerClient(location.connectionString, location.container, options);
      } catch {
        // The text of the client's error may quote the connection string, and so the key.
        throw new FarsideError(
          "bad-configuration",
          `The connection string for the container "${location.container}" is not valid: copy it anew from the account's access keys.`,
        );
      }
    });
  }
  const url = parseUrl(location.url);
  const credential = await credentialFor(url);
  return withTryTimeout(tryTimeoutMs, (options) => new ContainerClient(url.href, credential, options));
}

/** A whole account, by its connection string or its URL (with a SAS or an identity). `maxTries` of 1: for what must not happen twice. */
export async function openBlobAccount(
  connectionStringOrUrl: string,
  maxTries: number = retryOptions.maxTries,
): Promise<BlobServiceClient> {
  if (/^https?:\/\//.test(connectionStringOrUrl)) {
    const url = parseUrl(connectionStringOrUrl);
    return openByCredential(url, await credentialFor(url), maxTries);
  }
  return withTryTimeout(defaultTryTimeoutMs, (options) => {
    try {
      return BlobServiceClient.fromConnectionString(connectionStringOrUrl, {
        ...options,
        retryOptions: { ...retryOptions, maxTries },
      });
    } catch {
      throw new FarsideError(
        "bad-configuration",
        "The storage connection string is not valid: copy it anew from the account's access keys.",
      );
    }
  });
}

/** What opens accounts by their URLs with the identity that DefaultAzureCredential finds; `maxTries` as above. */
export async function openByIdentity(): Promise<(url: string, maxTries?: number) => BlobServiceClient> {
  const { DefaultAzureCredential } = await import("@azure/identity");
  const credential = new DefaultAzureCredential();
  return (url, maxTries = retryOptions.maxTries) => openByCredential(parseUrl(url), credential, maxTries);
}

function openByCredential(
  url: URL,
  credential: AnonymousCredential | TokenCredential,
  maxTries: number,
): BlobServiceClient {
  return withTryTimeout(
    defaultTryTimeoutMs,
    (options) =>
      new BlobServiceClient(url.href, credential, { ...options, retryOptions: { ...retryOptions, maxTries } }),
  );
}

/** A URL as it may be shown: without query, and so without a SAS. */
export function publicUrl(url: string): string {
  const parsed = parseUrl(url);
  return `${parsed.origin}${parsed.pathname}`;
}

function parseUrl(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new FarsideError(
    "bad-configuration",
    "The storage address is not a URL: give one like https://account.blob.core.windows.net/container.",
  );
}

async function credentialFor(url: URL): Promise<AnonymousCredential | TokenCredential> {
  if (url.searchParams.has("sig")) return new AnonymousCredential();
  // Loading it takes a third of a second, which those with a key or a SAS need not spend.
  const { DefaultAzureCredential } = await import("@azure/identity");
  return new DefaultAzureCredential();
}

/** What the client's pipeline calls for each try. Its own types for this are in a package that we do not depend on. */
interface TryRequest {
  abortSignal?: AbortSignal;
}
interface TryPolicy {
  readonly name: string;
  sendRequest<R extends TryRequest, A>(request: R, next: (request: R) => Promise<A>): Promise<A>;
}

/**
 * Makes a client whose pipeline has the try timeout (rule 2). The client adds `additionalPolicies` to its shared pipeline once for each
 * client made from it, of which there is one for each blob: so the list is emptied once it has been used.
 */
export function withTryTimeout<C>(tryTimeoutMs: number, make: (options: StoragePipelineOptions) => C): C {
  const additionalPolicies = [{ policy: tryTimeout(tryTimeoutMs), position: "perRetry" }];
  const options = { retryOptions, additionalPolicies };
  const client = make(options);
  additionalPolicies.length = 0;
  return client;
}

/** A limit on one try, its body included. The first time-out of a request is told as one that the client tries again. */
export function tryTimeout(limitMs: number): TryPolicy {
  const timedOutBefore = new WeakSet<TryRequest>();
  return {
    name: "farsideTryTimeout",
    async sendRequest(request, next) {
      const outer = request.abortSignal;
      const limit = AbortSignal.timeout(limitMs);
      request.abortSignal = outer === undefined ? limit : AbortSignal.any([outer, limit]);
      try {
        return await next(request);
      } catch (error) {
        if (!limit.aborted || outer?.aborted === true) throw error;
        const again = !timedOutBefore.has(request);
        timedOutBefore.add(request);
        // The client recognises what it may try again by this code, and by the word in the message.
        throw new RestError(`No answer within ${limitMs} ms`, { code: again ? "ETIMEDOUT" : "NO_ANSWER" });
      } finally {
        if (outer === undefined) delete request.abortSignal;
        else request.abortSignal = outer;
      }
    },
  };
}
