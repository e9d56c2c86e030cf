/** Config → the context that every operation works with. Touches no network. */
import { HttpGuestAgent } from "../adapters/azure/http-guest-agent.ts";
import { PageBlobTarget } from "../adapters/azure/page-blob-target.ts";
import { StorageAccounts } from "../adapters/azure/storage-accounts.ts";
import type { StorageConnection } from "../adapters/azure/storage-connection.ts";
import { PageBlobSource } from "../adapters/azure/page-blob-source.ts";
import { StorageTaskQueue } from "../adapters/azure/storage-task-queue.ts";
import { TableCatalog } from "../adapters/azure/table-catalog.ts";
import { CronCalendar } from "../adapters/local/cron-calendar.ts";
import { JsonEventLog } from "../adapters/local/json-event-log.ts";
import type { Config } from "../config/config.ts";
import type { AccountAccess, StateAccess } from "../config/storage.ts";
import { farsideVersion } from "../config/version.ts";
import type { Context } from "../operations/context.ts";
import { systemClock, systemRandom } from "./system.ts";
import { createVaultOpener } from "./vault.ts";

export async function createContext(config: Config): Promise<Context> {
  const random = systemRandom();
  const connection = await stateConnection(config.state);
  const accounts = await openAccounts(config.accounts);
  const pageBlobs = new PageBlobSource(accounts);
  return {
    clock: systemClock(),
    random,
    log: new JsonEventLog(),
    calendar: new CronCalendar(),
    catalog: new TableCatalog(connection),
    tasks: new StorageTaskQueue(connection),
    // One kind for now; another joins here.
    source: () => pageBlobs,
    guest: new HttpGuestAgent(),
    target: new PageBlobTarget(accounts),
    vault: createVaultOpener(config, random),
    limits: config.limits,
    tool: { name: "farside", version: farsideVersion },
  };
}

export function openAccounts(accounts: readonly AccountAccess[]): Promise<StorageAccounts> {
  return StorageAccounts.open(accounts.map((account) => account.connectionString ?? account.blobEndpoint));
}

async function stateConnection(state: StateAccess): Promise<StorageConnection> {
  if (state.kind === "connection-string") return state;
  // Loading it takes a third of a second, which those with a key need not spend.
  const { DefaultAzureCredential } = await import("@azure/identity");
  const options = state.clientId === undefined ? {} : { managedIdentityClientId: state.clientId };
  return {
    kind: "identity",
    queueUrl: state.queueServiceUri,
    tableUrl: state.tableServiceUri,
    credential: new DefaultAzureCredential(options),
  };
}
