/** The settings that say where things are: the state account, the vault's container, the accounts that hold disks. */
import type { AzureIdentity } from "../core/azure-identity.ts";
import { accountOfUrl, looksLikeConnectionString, parseConnectionString } from "./connection-string.ts";
import { namesIdentity, readIdentity, refuseIdentity } from "./identity.ts";
import type { Environment, Problems } from "./problems.ts";
import { settingOf } from "./problems.ts";

/** The account with the queues and the tables. */
export type StateAccess =
  | { readonly kind: "connection-string"; readonly connectionString: string }
  | {
      readonly kind: "identity";
      readonly queueServiceUri: string;
      readonly tableServiceUri: string;
      readonly identity: AzureIdentity;
    };

/** The vault's container. A URL may carry a SAS; without one the identity is used. */
export type VaultAccess =
  | { readonly kind: "connection-string"; readonly connectionString: string; readonly container: string }
  | { readonly kind: "url"; readonly url: string; readonly identity?: AzureIdentity };

/** A storage account whose page blobs may be protected or restored to. */
export interface AccountAccess {
  /** The end of the setting's name in lower case: what a person calls it. */
  readonly label: string;
  /** The account's own name, as it stands in URLs. */
  readonly account: string;
  /** Without a slash at its end. */
  readonly blobEndpoint: string;
  /** Without one the identity is used. */
  readonly connectionString?: string;
  readonly identity?: AzureIdentity;
}

const stateAdvice =
  "set it to a storage connection string, or set FARSIDE_STATE__accountName (or FARSIDE_STATE__queueServiceUri and FARSIDE_STATE__tableServiceUri) to use the app's identity.";

/** The host reads them too, the last one for what else it may keep there. */
const stateEndpoints = ["accountName", "queueServiceUri", "tableServiceUri", "blobServiceUri"];

export function readState(environment: Environment, problems: Problems): StateAccess | undefined {
  const connectionString = settingOf(environment, "FARSIDE_STATE");
  if (connectionString !== undefined) {
    refuseIdentity(environment, "FARSIDE_STATE", "FARSIDE_STATE holds a key, which is used", problems);
    if (parseConnectionString(connectionString) !== undefined) return { kind: "connection-string", connectionString };
    return problems.add("FARSIDE_STATE", `is no storage connection string: ${stateAdvice}`);
  }
  const account = settingOf(environment, "FARSIDE_STATE__accountName");
  const queueServiceUri =
    settingOf(environment, "FARSIDE_STATE__queueServiceUri") ?? endpointOf(account, "queue") ?? undefined;
  const tableServiceUri =
    settingOf(environment, "FARSIDE_STATE__tableServiceUri") ?? endpointOf(account, "table") ?? undefined;
  if (queueServiceUri === undefined && tableServiceUri === undefined) {
    return problems.add("FARSIDE_STATE", `is not set: ${stateAdvice}`);
  }
  const queue = serviceUri("FARSIDE_STATE__queueServiceUri", queueServiceUri, problems);
  const table = serviceUri("FARSIDE_STATE__tableServiceUri", tableServiceUri, problems);
  const identity = readIdentity(environment, "FARSIDE_STATE", problems, stateEndpoints);
  if (queue === undefined || table === undefined) return undefined;
  return { kind: "identity", queueServiceUri: queue, tableServiceUri: table, identity };
}

function endpointOf(account: string | undefined, service: string): string | undefined {
  return account === undefined ? undefined : `https://${account}.${service}.core.windows.net`;
}

function serviceUri(setting: string, text: string | undefined, problems: Problems): string | undefined {
  if (text === undefined) return problems.add(setting, "is not set: give both service URIs, or only the account name.");
  if (isHttpUrl(text)) return text.replace(/\/+$/, "");
  return problems.add(setting, `is ${JSON.stringify(text)}: give a URL like https://account.queue.core.windows.net.`);
}

const vaultAdvice =
  "set it to the container's URL (https://account.blob.core.windows.net/container), or to a storage connection string together with FARSIDE_VAULT_CONTAINER.";

const containerPattern = /^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;

export function readVault(environment: Environment, problems: Problems): VaultAccess | undefined {
  const text = settingOf(environment, "FARSIDE_VAULT");
  if (text === undefined) return problems.add("FARSIDE_VAULT", `is not set: ${vaultAdvice}`);
  const container = settingOf(environment, "FARSIDE_VAULT_CONTAINER");
  if (looksLikeConnectionString(text)) {
    if (parseConnectionString(text) === undefined) {
      return problems.add("FARSIDE_VAULT", `is neither a URL nor a storage connection string: ${vaultAdvice}`);
    }
    if (container === undefined) {
      return problems.add(
        "FARSIDE_VAULT_CONTAINER",
        "is not set: FARSIDE_VAULT is a connection string, so name the container.",
      );
    }
    if (!containerPattern.test(container)) {
      return problems.add(
        "FARSIDE_VAULT_CONTAINER",
        `is ${JSON.stringify(container)}: container names have 3 to 63 lower-case letters, digits and single hyphens.`,
      );
    }
    refuseIdentity(environment, "FARSIDE_VAULT", "FARSIDE_VAULT holds a key, which is used", problems);
    return { kind: "connection-string", connectionString: text, container };
  }
  const path = isHttpUrl(text) ? new URL(text).pathname.split("/").filter((part) => part !== "") : [];
  // An emulator's URLs carry the account as the first part of the path.
  const account = accountOfUrl(text);
  const parts = path[0] === account && account !== undefined && !isNamedHost(text) ? path.slice(1) : path;
  if (parts.length !== 1 || !containerPattern.test(parts[0] ?? "")) {
    return problems.add("FARSIDE_VAULT", `is not the URL of one container: ${vaultAdvice}`);
  }
  if (!new URL(text).searchParams.has("sig")) {
    return { kind: "url", url: text, identity: readIdentity(environment, "FARSIDE_VAULT", problems) };
  }
  refuseIdentity(environment, "FARSIDE_VAULT", "FARSIDE_VAULT holds a SAS, which is used", problems);
  return { kind: "url", url: text };
}

function isNamedHost(text: string): boolean {
  const { hostname } = new URL(text);
  return hostname.includes(".") && !/^[\d.]+$/.test(hostname);
}

const accountPrefix = "FARSIDE_ACCOUNT_";

export function readAccounts(environment: Environment, problems: Problems): readonly AccountAccess[] {
  const found = new Map<string, { readonly setting: string; readonly access: AccountAccess }>();
  for (const setting of Object.keys(environment).sort()) {
    const text = setting.startsWith(accountPrefix) ? settingOf(environment, setting) : undefined;
    if (text === undefined) continue;
    const [named = ""] = setting.split("__");
    if (named !== setting) {
      if (settingOf(environment, named) === undefined) {
        problems.add(setting, `is set, and ${named} is not: set that to the blob endpoint of the account.`);
      }
      continue;
    }
    const access = readAccount(environment, setting, text, problems);
    if (access === undefined) continue;
    const other = found.get(access.blobEndpoint);
    if (other === undefined) found.set(access.blobEndpoint, { setting, access });
    else problems.add(setting, `names the same account as ${other.setting} (${access.account}): remove one of them.`);
  }
  return [...found.values()].map(({ access }) => access);
}

/** Of accounts that no setting names; undefined where nothing says that they are reached by one of their own. */
export function readOtherAccounts(environment: Environment, problems: Problems): AzureIdentity | undefined {
  const place = "FARSIDE_ACCOUNTS";
  return namesIdentity(environment, place) ? readIdentity(environment, place, problems) : undefined;
}

function readAccount(
  environment: Environment,
  setting: string,
  text: string,
  problems: Problems,
): AccountAccess | undefined {
  const label = setting.slice(accountPrefix.length).toLowerCase();
  if (label === "") return problems.add(setting, "has no name: call it FARSIDE_ACCOUNT_<NAME>.");
  if (looksLikeConnectionString(text)) {
    const parts = parseConnectionString(text);
    refuseIdentity(environment, setting, `${setting} holds a key, which is used`, problems);
    if (parts !== undefined) {
      return { label, account: parts.accountName, blobEndpoint: parts.blobEndpoint, connectionString: text };
    }
  } else if (isHttpUrl(text) && new URL(text).search === "") {
    const account = accountOfUrl(text);
    const identity = readIdentity(environment, setting, problems);
    if (account !== undefined) return { label, account, blobEndpoint: text.replace(/\/+$/, ""), identity };
  }
  return problems.add(
    setting,
    "is neither a storage connection string nor a blob endpoint: set it to one, like https://account.blob.core.windows.net (no SAS).",
  );
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
