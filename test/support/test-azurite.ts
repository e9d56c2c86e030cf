/** An Azurite in memory for one test file. */
import { randomBytes } from "node:crypto";
import { startAzurite, type Azurite } from "../../local/azurite/azurite-process.ts";
import type { StorageConnection } from "../../shared/adapters/azure/storage-connection.ts";

export interface TestAzurite {
  readonly azurite: Azurite;
  readonly account: string;
  readonly connectionString: string;
  readonly connection: StorageConnection;
}

export async function startTestAzurite(account = "srcacct"): Promise<TestAzurite> {
  const azurite = await startAzurite({ accounts: [{ name: account, key: randomBytes(32).toString("base64") }] });
  const connectionString = azurite.connectionString(account);
  return { azurite, account, connectionString, connection: { kind: "connection-string", connectionString } };
}
