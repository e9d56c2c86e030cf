/** Config → the vault: its store, its passphrase, and an opening that happens once. */
import { unlessAborted } from "../core/unless-aborted.ts";
import { readFile } from "node:fs/promises";
import { openContainer } from "../adapters/azure/storage-clients.ts";
import { BlobVaultStore } from "../adapters/azure/blob-vault-store.ts";
import type { PassphraseSource, VaultConfig } from "../config/config.ts";
import type { VaultAccess } from "../config/storage.ts";
import { FarsideError, hasCode } from "../core/errors.ts";
import { initVault } from "../operations/vault/init-vault.ts";
import type { OpenVault } from "../operations/vault/open-vault.ts";
import { openVault } from "../operations/vault/open-vault.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { VaultStore } from "../ports/vault-store.ts";

/** Touches no network. */
export async function createVaultStore(access: VaultAccess): Promise<VaultStore> {
  return new BlobVaultStore(await openContainer(access));
}

/** Undefined where none is configured. The end of the file's last line is not part of it. Throws `bad-configuration`. */
export async function readPassphrase(source: PassphraseSource): Promise<string | undefined> {
  switch (source.kind) {
    case "none":
      return undefined;
    case "text":
      return source.text;
    case "file":
      return readPassphraseFile(source.path);
    default:
      return source satisfies never;
  }
}

async function readPassphraseFile(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new FarsideError(
      "bad-configuration",
      `The passphrase file ${path} cannot be read: check its path and its rights.`,
      { cause, details: { path } },
    );
  }
  const passphrase = text.replace(/\r?\n$/, "");
  if (passphrase !== "") return passphrase;
  throw new FarsideError("bad-configuration", `The passphrase file ${path} is empty: write the passphrase into it.`, {
    details: { path },
  });
}

/** Opening derives a key by scrypt and asks the service a few times: far below this. */
const openLimitMs = 120_000;

/**
 * Opens the vault at the first call and keeps it. A failure is not kept: the next call tries again, so that a passphrase put
 * right or a service that is back needs no restart. Callers share one attempt; one that gives up does not end it for the others.
 */
export function createVaultOpener(config: VaultConfig, random: Random): (signal: AbortSignal) => Promise<OpenVault> {
  let opening: Promise<OpenVault> | undefined;
  return async (signal) => {
    signal.throwIfAborted();
    opening ??= openOnce(config, random).catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return unlessAborted(opening, signal);
  };
}

async function openOnce(config: VaultConfig, random: Random): Promise<OpenVault> {
  const store = await createVaultStore(config.vault);
  const passphrase = await readPassphrase(config.passphrase);
  return openVault({ store, random, passphrase }, AbortSignal.timeout(openLimitMs));
}

/**
 * Makes the vault where there is none; true where it did. Where there is one, it is opened, so that a wrong passphrase is found
 * here and not by the first backup.
 */
export async function createVault(
  config: VaultConfig,
  ports: { readonly clock: Clock; readonly random: Random },
  signal: AbortSignal,
): Promise<boolean> {
  const store = await createVaultStore(config.vault);
  const passphrase = await readPassphrase(config.passphrase);
  await store.createContainer(signal);
  try {
    await openVault({ store, random: ports.random, passphrase }, signal);
    return false;
  } catch (error) {
    if (!hasCode(error, "not-found")) throw error;
  }
  const encryption =
    passphrase === undefined ? ({ kind: "none" } as const) : ({ kind: "passphrase", passphrase } as const);
  await initVault({ store, ...ports, encryption }, signal);
  return true;
}
