/** An identity → what the SDKs ask for tokens. Touches no network. */
import type { TokenCredential } from "@azure/identity";
import type { AzureIdentity } from "../../core/azure-identity.ts";

/** Loads the SDK, which takes a third of a second: those with a key or a SAS need not spend it. */
export async function identityCredential({ kind, clientId }: AzureIdentity): Promise<TokenCredential> {
  const { DefaultAzureCredential, ManagedIdentityCredential } = await import("@azure/identity");
  if (kind === "default") {
    return new DefaultAzureCredential(clientId === undefined ? {} : { managedIdentityClientId: clientId });
  }
  return clientId === undefined ? new ManagedIdentityCredential() : new ManagedIdentityCredential({ clientId });
}
