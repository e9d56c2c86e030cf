/**
 * Storage connections by name, and the clients for them.
 *
 * For the connection X the setting `AzureWebJobsX` is looked up, then `X`, each first under `ConnectionStrings`. A value
 * is a connection string and wins; else the connection is made of an address (`X__queueServiceUri`, `X__blobServiceUri`,
 * `X__serviceUri`, `X__accountName`) and an identity (`X__credential`, `X__clientId`; default: DefaultAzureCredential).
 */
import type { TokenCredential } from "@azure/identity";
import { BlobServiceClient } from "@azure/storage-blob";
import { QueueServiceClient } from "@azure/storage-queue";
import { FarsideError } from "../../shared/core/errors.ts";
import type { Settings } from "./settings.ts";

export type StorageConnection =
  | { readonly kind: "connection-string"; readonly value: string }
  | {
      readonly kind: "identity";
      readonly queueUri: string | undefined;
      readonly blobUri: string | undefined;
      readonly identity: Identity;
    };

type Identity = { readonly kind: "default" } | { readonly kind: "managed"; readonly clientId: string | undefined };

/** The connection that the host itself uses for timers, and that bindings without a connection use. */
export const hostConnectionName = "AzureWebJobsStorage";

/** One layer of retries for each request; the listeners' own back-off is for what stays wrong longer. */
const retryOptions = { maxTries: 3, tryTimeoutInMs: 30_000, retryDelayInMs: 500, maxRetryDelayInMs: 4000 };

/**
 * @param name the connection's name; empty for the host's own.
 * @param where how to name the binding in an error.
 * @throws FarsideError `bad-configuration` where nothing is set for it.
 */
export function resolveConnection(settings: Settings, name: string, where: string): StorageConnection {
  const wanted = name === "" ? hostConnectionName : name;
  const prefixes = [`AzureWebJobs${wanted}`, wanted].flatMap((one) => [`ConnectionStrings:${one}`, one]);
  for (const prefix of prefixes) {
    const value = settings.get(prefix);
    if (value !== undefined) return { kind: "connection-string", value };
    const connection = byIdentity(settings, prefix);
    if (connection !== undefined) return connection;
  }
  throw new FarsideError(
    "bad-configuration",
    `${where} needs the storage connection ${wanted}, and neither the setting ${wanted} (a connection string) nor ${wanted}__accountName or ${wanted}__queueServiceUri is set.`,
    { details: { connection: wanted } },
  );
}

function byIdentity(settings: Settings, prefix: string): StorageConnection | undefined {
  const accountName = settings.get(`${prefix}:accountName`);
  const serviceUri = settings.get(`${prefix}:serviceUri`);
  const uriOf = (service: "blob" | "queue"): string | undefined =>
    settings.get(`${prefix}:${service}ServiceUri`) ??
    serviceUri ??
    (accountName === undefined ? undefined : `https://${accountName}.${service}.core.windows.net`);
  const queueUri = uriOf("queue");
  const blobUri = uriOf("blob");
  if (queueUri === undefined && blobUri === undefined) return undefined;
  const managed = settings.get(`${prefix}:credential`)?.toLowerCase() === "managedidentity";
  return {
    kind: "identity",
    queueUri,
    blobUri,
    identity: managed ? { kind: "managed", clientId: settings.get(`${prefix}:clientId`) } : { kind: "default" },
  };
}

export async function queueServiceOf(connection: StorageConnection): Promise<QueueServiceClient> {
  if (connection.kind === "connection-string") {
    return fromConnectionString(() => QueueServiceClient.fromConnectionString(connection.value, { retryOptions }));
  }
  const uri = connection.queueUri ?? missingUri("queueServiceUri");
  return new QueueServiceClient(uri, await credentialOf(connection.identity), { retryOptions });
}

export async function blobServiceOf(connection: StorageConnection): Promise<BlobServiceClient> {
  if (connection.kind === "connection-string") {
    return fromConnectionString(() => BlobServiceClient.fromConnectionString(connection.value, { retryOptions }));
  }
  const uri = connection.blobUri ?? missingUri("blobServiceUri");
  return new BlobServiceClient(uri, await credentialOf(connection.identity), { retryOptions });
}

// Loaded on demand: it is large, and most local stacks use connection strings.
async function credentialOf(identity: Identity): Promise<TokenCredential> {
  const { DefaultAzureCredential, ManagedIdentityCredential } = await import("@azure/identity");
  if (identity.kind === "default") return new DefaultAzureCredential();
  return identity.clientId === undefined
    ? new ManagedIdentityCredential()
    : new ManagedIdentityCredential({ clientId: identity.clientId });
}

function fromConnectionString<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    // Without the cause: its message could quote the connection string, which holds a key.
    throw new FarsideError("bad-configuration", "A storage connection string in the settings is not valid.", {
      details: { problem: error instanceof Error ? error.name : "unknown" },
    });
  }
}

function missingUri(name: string): never {
  throw new FarsideError("bad-configuration", `A storage connection by identity lacks its ${name}: set it.`);
}
