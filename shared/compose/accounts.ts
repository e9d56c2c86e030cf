import { StorageAccounts } from "../adapters/azure/storage-accounts.ts";
import type { AccountAccess } from "../config/storage.ts";

/** `others`: accounts that no setting names are reached with the app's own identity. Touches no network. */
export function openAccounts(accounts: readonly AccountAccess[], others?: "by-identity"): Promise<StorageAccounts> {
  return StorageAccounts.open(
    accounts.map((account) => account.connectionString ?? account.blobEndpoint),
    others,
  );
}
