import { StorageAccounts } from "../adapters/azure/storage-accounts.ts";
import type { AccountAccess } from "../config/storage.ts";
import { defaultIdentity, type AzureIdentity } from "../core/azure-identity.ts";

/** `others`: by which identity accounts are reached that no setting names. Touches no network. */
export function openAccounts(accounts: readonly AccountAccess[], others?: AzureIdentity): Promise<StorageAccounts> {
  const places = accounts.map(
    ({ connectionString, blobEndpoint, identity = defaultIdentity }) =>
      connectionString ?? { url: blobEndpoint, identity },
  );
  return StorageAccounts.open(places, others);
}
