/**
 * Where a verb finds the service and the vault: --data where given, else the environment, else the data folder of
 * `farside up` that the shell stands in.
 */
import { resolve } from "node:path";
import { findDataFolder, readStackFile } from "../local/stack/stack-file.ts";
import type { StackFile } from "../local/stack/stack-file.ts";
import type { VaultConfig } from "../shared/config/config.ts";
import { readAccountsConfig, readVaultConfig } from "../shared/config/config.ts";
import { settingOf } from "../shared/config/problems.ts";
import type { AccountAccess } from "../shared/config/storage.ts";
import { FarsideError } from "../shared/core/errors.ts";
import type { Verb } from "./verb.ts";

export interface FoundStack {
  readonly dataFolder: string;
  readonly stack: StackFile;
}

export interface ApiAccess {
  readonly url: string;
  readonly key: string;
}

export function apiAccess(verb: Verb): ApiAccess {
  const { environment } = verb.shell;
  const url = settingOf(environment, "FARSIDE_URL");
  if (verb.dataFolder === undefined && url !== undefined) {
    if (!URL.canParse(url) || !/^https?:/.test(url)) {
      throw new FarsideError(
        "bad-configuration",
        `FARSIDE_URL is ${JSON.stringify(url)}: set it to the URL of the app.`,
      );
    }
    const key = settingOf(environment, "FARSIDE_KEY");
    if (key !== undefined) return { url, key };
    throw new FarsideError("bad-configuration", "FARSIDE_KEY is not set: set it to a function key of the app.");
  }
  const found = findStack(verb);
  if (found !== undefined) return { url: found.stack.apiUrl, key: found.stack.apiKey };
  throw new FarsideError(
    "bad-configuration",
    'FARSIDE_URL is not set and no data directory of "farside up" is here: set FARSIDE_URL and FARSIDE_KEY, or give --data DIR.',
  );
}

/** `stack`: set where the vault is that of a local stack. */
export function vaultAccess(verb: Verb): VaultConfig & { readonly found?: FoundStack } {
  const { environment } = verb.shell;
  if (verb.dataFolder === undefined && settingOf(environment, "FARSIDE_VAULT") !== undefined) {
    return readVaultConfig(environment);
  }
  const found = findStack(verb);
  if (found === undefined) {
    throw new FarsideError(
      "bad-configuration",
      'FARSIDE_VAULT is not set and no data directory of "farside up" is here: set FARSIDE_VAULT to the container\'s URL (or a connection string together with FARSIDE_VAULT_CONTAINER), or give --data DIR.',
    );
  }
  const { vault, passphraseFile } = found.stack;
  const text = environment["FARSIDE_PASSPHRASE"];
  const given = text === undefined || text === "" ? undefined : ({ kind: "text", text } as const);
  const kept =
    passphraseFile === undefined
      ? undefined
      : ({ kind: "file", path: resolve(found.dataFolder, passphraseFile) } as const);
  const path = settingOf(environment, "FARSIDE_PASSPHRASE_FILE");
  const file = path === undefined ? undefined : ({ kind: "file", path } as const);
  return {
    vault: { kind: "connection-string", ...vault },
    // The kept one is this vault's own; what stands in the environment may be meant for another.
    passphrase: kept ?? given ?? file ?? { kind: "none" },
    found,
  };
}

/** The accounts whose page blobs a verb may write by itself. */
export function accountsAccess(verb: Verb): readonly AccountAccess[] {
  if (verb.dataFolder === undefined) {
    const accounts = readAccountsConfig(verb.shell.environment);
    if (accounts.length > 0) return accounts;
  }
  const stack = findStack(verb)?.stack;
  if (stack !== undefined) {
    const settings = Object.entries(stack.accounts).map(([name, text]) => [
      `FARSIDE_ACCOUNT_${name.toUpperCase()}`,
      text,
    ]);
    return readAccountsConfig(Object.fromEntries(settings));
  }
  throw new FarsideError(
    "bad-configuration",
    'No storage account is configured: set FARSIDE_ACCOUNT_SOURCE to its connection string, or give --data DIR of "farside up".',
  );
}

function findStack(verb: Verb): FoundStack | undefined {
  if (verb.dataFolder !== undefined) {
    const dataFolder = resolve(verb.shell.cwd, verb.dataFolder);
    const stack = readStackFile(dataFolder);
    if (stack !== undefined) return { dataFolder, stack };
    throw new FarsideError(
      "not-found",
      `${dataFolder} is no data directory: it holds no stack.json. Start one with "farside up --data ${verb.dataFolder}".`,
      { details: { dataFolder } },
    );
  }
  const dataFolder = findDataFolder(verb.shell.cwd);
  const stack = dataFolder === undefined ? undefined : readStackFile(dataFolder);
  return dataFolder === undefined || stack === undefined ? undefined : { dataFolder, stack };
}
