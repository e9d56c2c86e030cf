/** How the app reaches the tables and queues of its own account: by a connection string, or by its identity. */
import { TableClient, type TableServiceClientOptions } from "@azure/data-tables";
import type { TokenCredential } from "@azure/identity";
import { QueueServiceClient, type StoragePipelineOptions } from "@azure/storage-queue";
import { FarsideError } from "../../core/errors.ts";
import { defaultTryTimeoutMs, tryTimeout, withTryTimeout } from "./storage-clients.ts";

export type StorageConnection =
  | { readonly kind: "connection-string"; readonly connectionString: string }
  /** The services' URLs; only https, for an identity's token never goes over plain http. */
  | {
      readonly kind: "identity";
      readonly queueUrl: string;
      readonly tableUrl: string;
      readonly credential: TokenCredential;
    };

/** The SDKs' type of a policy is in a package that we do not depend on. */
type TablePolicies = NonNullable<TableServiceClientOptions["additionalPolicies"]>;

export function tableClient(connection: StorageConnection, table: string): TableClient {
  const options = {
    // Another SDK with other numbers: 4 tries, after 0.5, 1 and 2 s, or after what Retry-After says.
    retryOptions: { maxRetries: 3, retryDelayInMs: 500, maxRetryDelayInMs: 10_000 },
    additionalPolicies: [{ policy: tryTimeout(defaultTryTimeoutMs), position: "perRetry" }] as unknown as TablePolicies,
  };
  if (connection.kind === "identity") {
    return new TableClient(connection.tableUrl, table, connection.credential, options);
  }
  return checked(() =>
    TableClient.fromConnectionString(connection.connectionString, table, {
      ...options,
      allowInsecureConnection: true,
    }),
  );
}

export function queueService(connection: StorageConnection): QueueServiceClient {
  return withTryTimeout(defaultTryTimeoutMs, (blobOptions) => {
    const options = blobOptions as StoragePipelineOptions;
    return connection.kind === "identity"
      ? new QueueServiceClient(connection.queueUrl, connection.credential, options)
      : checked(() => QueueServiceClient.fromConnectionString(connection.connectionString, options));
  });
}

function checked<T>(make: () => T): T {
  try {
    return make();
  } catch {
    // The text of the client's error may quote the connection string, and so the key.
    throw new FarsideError(
      "bad-configuration",
      "The connection string of the app's storage account is not valid: copy it anew from the account's access keys.",
    );
  }
}
