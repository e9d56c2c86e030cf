/** Which identity of Microsoft Entra ID the process comes with, where it is given no key and no SAS (docs/identity.md). */
export type AzureIdentity =
  /** What DefaultAzureCredential finds: on Azure the managed identity, on a person's machine whoever is logged in. */
  | {
      readonly kind: "default";
      /** Of the user-assigned identity that is meant where several are assigned. */
      readonly clientId?: string;
    }
  /** Nothing but the managed identity; without a client id the system-assigned one. */
  | { readonly kind: "managed"; readonly clientId?: string };

export const defaultIdentity: AzureIdentity = { kind: "default" };
