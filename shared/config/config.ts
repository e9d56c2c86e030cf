/**
 * The settings of the app, read once from the environment (docs/configuration.md). Nothing else in the project looks at
 * the environment for them.
 */
import type { AzureIdentity } from "../core/azure-identity.ts";
import type { ArmAccess } from "./arm.ts";
import { readArm } from "./arm.ts";
import type { DiscoverySettings } from "./discovery.ts";
import { readDiscovery } from "./discovery.ts";
import { checkClientId } from "./identity.ts";
import type { Limits } from "./limits.ts";
import { readLimits } from "./limits.ts";
import type { Environment } from "./problems.ts";
import { Problems, settingOf } from "./problems.ts";
import type { AccountAccess, StateAccess, VaultAccess } from "./storage.ts";
import { readAccounts, readOtherAccounts, readState, readVault } from "./storage.ts";

/** Where the passphrase comes from; it is read only when the vault is opened, and an unencrypted vault needs none. */
export type PassphraseSource =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "none" };

/** What a process needs that works with the vault alone. */
export interface VaultConfig {
  readonly vault: VaultAccess;
  readonly passphrase: PassphraseSource;
}

/** What the app needs. */
export interface Config extends VaultConfig {
  readonly state: StateAccess;
  readonly accounts: readonly AccountAccess[];
  /** For accounts that no setting names; absent where none was chosen. */
  readonly otherAccounts?: AzureIdentity;
  readonly arm: ArmAccess;
  readonly discovery: DiscoverySettings;
  readonly limits: Limits;
}

/** `hostJson` is the text of the app's host.json. Throws `bad-configuration` that names every problem. */
export function readConfig(environment: Environment, hostJson: string | undefined): Config {
  const problems = new Problems();
  requireHostStorage(environment, problems);
  const state = readState(environment, problems);
  const vault = readVault(environment, problems);
  const accounts = readAccounts(environment, problems);
  const otherAccounts = readOtherAccounts(environment, problems);
  const arm = readArm(environment, problems);
  const discovery = readDiscovery(environment, problems);
  const passphrase = readPassphrase(environment, problems);
  const limits = readLimits(environment, hostJson, problems);
  problems.throwIfAny();
  if (state === undefined || vault === undefined) throw new Error("A missing setting was not reported.");
  const others = otherAccounts === undefined ? {} : { otherAccounts };
  return { state, vault, accounts, ...others, arm, discovery, passphrase, limits };
}

export function readVaultConfig(environment: Environment): VaultConfig {
  const problems = new Problems();
  const vault = readVault(environment, problems);
  const passphrase = readPassphrase(environment, problems);
  problems.throwIfAny();
  if (vault === undefined) throw new Error("A missing setting was not reported.");
  return { vault, passphrase };
}

/** Throws `bad-configuration`; an empty list is none. */
export function readAccountsConfig(environment: Environment): readonly AccountAccess[] {
  const problems = new Problems();
  const accounts = readAccounts(environment, problems);
  problems.throwIfAny();
  return accounts;
}

function readPassphrase(environment: Environment, problems: Problems): PassphraseSource {
  // Not trimmed: blanks at its ends are part of a passphrase.
  const text = environment["FARSIDE_PASSPHRASE"];
  const path = settingOf(environment, "FARSIDE_PASSPHRASE_FILE");
  if (text !== undefined && text !== "") {
    if (path !== undefined) {
      problems.add("FARSIDE_PASSPHRASE_FILE", "is set and so is FARSIDE_PASSPHRASE: remove one of them.");
    }
    return { kind: "text", text };
  }
  return path === undefined ? { kind: "none" } : { kind: "file", path };
}

/** The Functions host keeps its own state (timers, keys) there; without it the timers never fire. */
function requireHostStorage(environment: Environment, problems: Problems): void {
  checkClientId(environment, "AzureWebJobsStorage", problems);
  const address = /^AzureWebJobsStorage(?:__(?:accountName|(?:blob)?serviceUri))?$/i;
  const names = Object.keys(environment).filter((name) => address.test(name));
  if (names.some((name) => settingOf(environment, name) !== undefined)) return;
  problems.add(
    "AzureWebJobsStorage",
    "is not set: the Functions host keeps its timers there; set it to a connection string or AzureWebJobsStorage__accountName.",
  );
}
