/** Opens the vault for a verb that works with it alone: no service, no tables. */
import type { VaultConfig } from "../shared/config/config.ts";
import { systemRandom } from "../shared/compose/system.ts";
import { createVaultStore, readPassphrase } from "../shared/compose/vault.ts";
import { FarsideError, hasCode } from "../shared/core/errors.ts";
import type { OpenVault } from "../shared/operations/vault/open-vault.ts";
import { openVault } from "../shared/operations/vault/open-vault.ts";
import { withLocalVault } from "./local-vault.ts";
import { vaultAccess } from "./settings.ts";
import type { Verb } from "./verb.ts";

/** Opens the vault, does the work with it, and stops what had to be started for it. */
export async function withVault<T>(verb: Verb, work: (vault: OpenVault) => Promise<T>): Promise<T> {
  const access = vaultAccess(verb);
  return withLocalVault(verb, access.found, async () => work(await openForVerb(verb, access)));
}

/** Asks for the passphrase only where the vault needs one and none is configured. */
async function openForVerb(verb: Verb, config: VaultConfig): Promise<OpenVault> {
  const store = await createVaultStore(config.vault);
  const passphrase = await readPassphrase(config.passphrase);
  try {
    return await openVault({ store, random: systemRandom(), passphrase }, verb.signal);
  } catch (error) {
    const { askSecret } = verb.shell;
    if (!hasCode(error, "passphrase-missing") || askSecret === undefined) throw error;
    const typed = await askSecret(`Passphrase of the vault ${store.location}: `);
    return openVault({ store, random: systemRandom(), passphrase: typed }, verb.signal);
  }
}

/** A passphrase for a new vault: configured, or asked for twice. */
export async function newPassphrase(verb: Verb, config: Pick<VaultConfig, "passphrase">): Promise<string> {
  const configured = await readPassphrase(config.passphrase);
  if (configured !== undefined) return configured;
  const { askSecret } = verb.shell;
  if (askSecret === undefined) {
    throw new FarsideError(
      "passphrase-missing",
      "No passphrase was given for the new vault: set FARSIDE_PASSPHRASE or FARSIDE_PASSPHRASE_FILE, or run this on a terminal. --unencrypted makes a vault without one.",
    );
  }
  const typed = await askSecret("Passphrase of the new vault (at least 16 characters): ");
  if ((await askSecret("The same again: ")) === typed) return typed;
  throw new FarsideError("bad-input", "The two passphrases differ: nothing was made, try again.");
}
