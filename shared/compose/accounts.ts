import { StorageAccounts } from "../adapters/azure/storage-accounts.ts";
import type { AccountAccess } from "../config/storage.ts";

/** Touches no network. */
export function openAccounts(accounts: readonly AccountAccess[]): Promise<StorageAccounts> {
  return StorageAccounts.open(accounts.map((account) => account.connectionString ?? account.blobEndpoint));
}
