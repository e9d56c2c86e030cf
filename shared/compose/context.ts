/** Config → the context that every operation works with. Touches no network. */
import { HttpGuestAgent } from "../adapters/azure/http-guest-agent.ts";
import { identityCredential } from "../adapters/azure/identity-credential.ts";
import { ManagedMachineTarget } from "../adapters/azure/managed/machine/managed-machine-target.ts";
import { ManagedDiskSource } from "../adapters/azure/managed/managed-disk-source.ts";
import { ArmVmDirectory } from "../adapters/azure/managed/vm-directory.ts";
import { PageBlobReverter } from "../adapters/azure/page-blob-reverter.ts";
import { PageBlobTarget } from "../adapters/azure/page-blob-target.ts";
import type { StorageConnection } from "../adapters/azure/storage-connection.ts";
import { PageBlobSource } from "../adapters/azure/page-blob-source.ts";
import { StorageTaskQueue } from "../adapters/azure/storage-task-queue.ts";
import { TableCatalog } from "../adapters/azure/table-catalog.ts";
import { cronCalendar } from "../adapters/local/cron-calendar.ts";
import type { Config } from "../config/config.ts";
import type { StateAccess } from "../config/storage.ts";
import { farsideVersion } from "../config/version.ts";
import { defaultIdentity, type AzureIdentity } from "../core/azure-identity.ts";
import type { Context } from "../operations/context.ts";
import { createTransfer } from "../operations/transfer.ts";
import { armOpener } from "./arm.ts";
import { openAccounts } from "./accounts.ts";
import { consoleEventLog } from "./event-log.ts";
import { systemClock, systemRandom } from "./system.ts";
import { createVaultOpener } from "./vault.ts";

export async function createContext(config: Config): Promise<Context> {
  const clock = systemClock();
  const random = systemRandom();
  const connection = await stateConnection(config.state);
  const accounts = await openAccounts(config.accounts, otherAccounts(config));
  const pageBlobs = new PageBlobSource(accounts);
  const arm = armOpener(config.arm, clock);
  const platform = { arm, clock, ...(config.arm.kind === "local" ? { lookAgainMs: localLookMs } : {}) };
  const vault = createVaultOpener(config, random);
  const vaultId = async (signal: AbortSignal) => (await vault(signal)).descriptor.vaultId;
  const managedDisks = new ManagedDiskSource({ ...platform, vaultId });
  const reverter = new PageBlobReverter(accounts);
  return {
    clock,
    random,
    log: consoleEventLog(clock),
    calendar: cronCalendar,
    catalog: new TableCatalog(connection),
    tasks: new StorageTaskQueue(connection),
    source: (kind) => (kind === "managed" ? managedDisks : pageBlobs),
    discovery: { ...config.discovery, directory: new ArmVmDirectory(arm) },
    guest: new HttpGuestAgent(),
    target: new PageBlobTarget(accounts),
    machines: new ManagedMachineTarget({ ...platform, discoveryTag: config.discovery.tag }),
    reverter: (kind) => (kind === "managed" ? undefined : reverter),
    vault,
    limits: config.limits,
    transfer: createTransfer(config.limits.chunksAtOnce),
    tool: { name: "farside", version: farsideVersion },
  };
}

/** A local ARM ends in a second or two what takes Azure seconds to hours. */
const localLookMs = 1000;

/** Of accounts that no setting names. An app that has keys only is not given an identity behind its owner's back. */
function otherAccounts({ otherAccounts: chosen, state, accounts }: Config): AzureIdentity | undefined {
  const usesIdentity = state.kind === "identity" || accounts.some((account) => account.connectionString === undefined);
  return chosen ?? (usesIdentity ? defaultIdentity : undefined);
}

async function stateConnection(state: StateAccess): Promise<StorageConnection> {
  if (state.kind === "connection-string") return state;
  return {
    kind: "identity",
    queueUrl: state.queueServiceUri,
    tableUrl: state.tableServiceUri,
    credential: await identityCredential(state.identity),
  };
}
