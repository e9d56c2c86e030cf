import type { VaultConfig } from "../../shared/config/config.ts";
import { systemClock, systemRandom } from "../../shared/compose/system.ts";
import { createVaultStore } from "../../shared/compose/vault.ts";
import { initVault } from "../../shared/operations/vault/init-vault.ts";
import { listVms } from "../../shared/operations/vault/list-restore-points.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { formatBytes, formatTime } from "../format.ts";
import { vaultAccess } from "../settings.ts";
import { newPassphrase, withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";

export async function initVaultAction(
  verb: Verb,
  options: { readonly chunkSize?: number; readonly unencrypted?: true },
): Promise<void> {
  const access = vaultAccess(verb);
  const vault = await initVault(
    {
      store: await createVaultStore(access.vault),
      clock: systemClock(),
      random: systemRandom(),
      ...(options.chunkSize === undefined ? {} : { chunkSizeBytes: options.chunkSize }),
      encryption: await encryptionOf(verb, access, options),
    },
    verb.signal,
  );
  const facts = factsOf(vault);
  if (verb.output.json) verb.output.thing(facts, []);
  else {
    verb.output.line(`Made the vault ${facts.vaultId} in ${facts.location}.`);
    if (facts.encryption === "none")
      verb.output.note("It is not encrypted: whoever can read the container can read every disk.");
    else
      verb.output.note("Keep the passphrase in a safe place of its own: without it nothing in the vault can be read.");
  }
}

async function encryptionOf(verb: Verb, access: VaultConfig, options: { readonly unencrypted?: true }) {
  if (options.unencrypted === true) return { kind: "none" } as const;
  return { kind: "passphrase", passphrase: await newPassphrase(verb, access) } as const;
}

export async function showVault(verb: Verb): Promise<void> {
  await withVault(verb, async (vault) => {
    const facts = factsOf(vault);
    const vms = await listVms(vault, verb.signal);
    verb.output.thing({ ...facts, vms }, [
      ["vault", facts.vaultId],
      ["location", facts.location],
      ["made", formatTime(facts.createdAt)],
      ["format", `farside-vault ${facts.formatVersion}`],
      ["chunks", formatBytes(facts.chunkSizeBytes)],
      ["encryption", facts.encryption],
      ["compression", facts.compression],
      ["VMs", vms.length === 0 ? "none yet" : vms.join(", ")],
    ]);
  });
}

function factsOf({ store, descriptor }: OpenVault) {
  const { vaultId, createdAt, version, chunkSizeBytes, encryption, compression } = descriptor;
  return {
    vaultId,
    location: store.location,
    createdAt,
    formatVersion: version,
    chunkSizeBytes,
    encryption,
    compression,
  };
}
