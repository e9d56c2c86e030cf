/** How the app reaches one storage account: by a connection string, or by its own identity. */
import type { TokenCredential } from "@azure/identity";
import { TableClient } from "@azure/data-tables";
import { QueueServiceClient, newPipeline as newQueuePipeline } from "@azure/storage-queue";
import { retryOptions, tableRetryOptions } from "./storage-call.ts";

export type StorageConnection =
  | { readonly kind: "connection-string"; readonly connectionString: string }
  /** Endpoint URLs without a slash at the end. Only https: an identity's token never goes over plain http. */
  | {
      readonly kind: "identity";
      readonly blobUrl: string;
      readonly queueUrl: string;
      readonly tableUrl: string;
      readonly credential: TokenCredential;
    };

export function tableClient(connection: StorageConnection, table: string): TableClient {
  const options = { retryOptions: tableRetryOptions };
  return connection.kind === "connection-string"
    ? TableClient.fromConnectionString(connection.connectionString, table, {
        ...options,
        allowInsecureConnection: true,
      })
    : new TableClient(connection.tableUrl, table, connection.credential, options);
}

export function queueService(connection: StorageConnection): QueueServiceClient {
  return connection.kind === "connection-string"
    ? QueueServiceClient.fromConnectionString(connection.connectionString, { retryOptions })
    : new QueueServiceClient(connection.queueUrl, newQueuePipeline(connection.credential, { retryOptions }));
}
