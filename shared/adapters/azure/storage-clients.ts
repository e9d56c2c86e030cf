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
import { defaultIdentity, type AzureIdentity } from "../../core/azure-identity.ts";
import { FarsideError } from "../../core/errors.ts";
import { identityCredential } from "./identity-credential.ts";

export type ContainerLocation =
  | { readonly kind: "connection-string"; readonly connectionString: string; readonly container: string }
  /** With a SAS in its query, or without: then by the identity. */
  | { readonly kind: "url"; readonly url: string; readonly identity?: AzureIdentity };

/** A connection string, a URL (as above, by the default identity), or a URL and an identity. */
export type BlobAccount = string | { readonly url: string; readonly identity: AzureIdentity };

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
  const credential = await credentialFor(url, location.identity);
  return withTryTimeout(tryTimeoutMs, (options) => new ContainerClient(url.href, credential, options));
}

/** A whole account, by its connection string or its URL (with a SAS or an identity). `maxTries` of 1: for what must not happen twice. */
export async function openBlobAccount(
  place: BlobAccount,
  maxTries: number = retryOptions.maxTries,
): Promise<BlobServiceClient> {
  const text = typeof place === "string" ? place : place.url;
  if (typeof place !== "string" || /^https?:\/\//.test(text)) {
    const url = parseUrl(text);
    return openByCredential(
      url,
      await credentialFor(url, typeof place === "string" ? undefined : place.identity),
      maxTries,
    );
  }
  return withTryTimeout(defaultTryTimeoutMs, (options) => {
    try {
      return BlobServiceClient.fromConnectionString(text, {
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

/** What opens accounts by their URLs with an identity; `maxTries` as above. */
export async function openByIdentity(
  identity: AzureIdentity,
): Promise<(url: string, maxTries?: number) => BlobServiceClient> {
  const credential = await identityCredential(identity);
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

async function credentialFor(
  url: URL,
  identity: AzureIdentity = defaultIdentity,
): Promise<AnonymousCredential | TokenCredential> {
  return url.searchParams.has("sig") ? new AnonymousCredential() : identityCredential(identity);
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
