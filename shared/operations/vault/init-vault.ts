import { FarsideError } from "../../core/errors.ts";
import { timestamp } from "../../core/timestamp.ts";
import { ulid } from "../../core/ulid.ts";
import { canonicalJsonBytes } from "../../core/vault/canonical-json.ts";
import type { VaultKeys } from "../../core/vault/data-keys.ts";
import { dataKeyBytes, deriveKeys } from "../../core/vault/data-keys.ts";
import type { VaultDescriptor } from "../../core/vault/descriptor.ts";
import type { ScryptParameters } from "../../core/vault/key-slot.ts";
import { checkPassphrase } from "../../core/vault/key-slot.ts";
import { allowedChunkSizesBytes, defaultChunkSizeBytes } from "../../core/vault/limits.ts";
import { descriptorName, keySlotName } from "../../core/vault/names.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Random } from "../../ports/random.ts";
import type { VaultStore } from "../../ports/vault-store.ts";
import { writeKeySlot } from "./add-key-slot.ts";
import type { OpenVault } from "./open-vault.ts";

export interface InitVaultOptions {
  readonly store: VaultStore;
  readonly clock: Clock;
  readonly random: Random;
  /** 1 MiB unless said otherwise; see `allowedChunkSizesBytes`. */
  readonly chunkSizeBytes?: number;
  readonly encryption:
    | { readonly kind: "none" }
    | { readonly kind: "passphrase"; readonly passphrase: string; readonly scrypt?: ScryptParameters };
}

/**
 * Makes a vault in the container, which it makes too. The key slot comes first and vault.json last, so that a vault that exists
 * can be opened; of two at once, one wins and the other takes its slot back. Throws `already-exists`, `bad-input`.
 */
export async function initVault(options: InitVaultOptions, signal: AbortSignal): Promise<OpenVault> {
  const { store, clock, random, encryption } = options;
  const chunkSizeBytes = options.chunkSizeBytes ?? defaultChunkSizeBytes;
  if (!allowedChunkSizesBytes.includes(chunkSizeBytes)) {
    throw new FarsideError(
      "bad-input",
      `The chunk size ${chunkSizeBytes} is not one of ${allowedChunkSizesBytes.join(", ")} bytes.`,
      { details: { chunkSizeBytes, allowed: allowedChunkSizesBytes } },
    );
  }
  if (encryption.kind === "passphrase") checkPassphrase(encryption.passphrase);
  await store.createContainer(signal);
  if ((await store.head(descriptorName, signal)) !== undefined) throw alreadyThere(store);

  const now = clock.now();
  const vaultId = ulid(now, random.bytes(10));
  let keys: VaultKeys = { kind: "none" };
  let openedBySlot: string | undefined;
  if (encryption.kind === "passphrase") {
    const dataKeys = random.bytes(dataKeyBytes);
    keys = deriveKeys(vaultId, dataKeys);
    openedBySlot = await writeKeySlot({ store, random, clock, vaultId, dataKeys, ...encryption }, signal);
  }
  const descriptor: VaultDescriptor = {
    format: "farside-vault",
    version: 1,
    vaultId,
    createdAt: timestamp(now),
    chunkSizeBytes,
    segmentChunks: 1024,
    compression: "zstd",
    encryption: keys.kind === "none" ? "none" : "aes-256-gcm",
  };
  const written = await store.create(descriptorName, canonicalJsonBytes(descriptor), signal);
  if (written.kind === "exists") {
    // A slot of no vault would do no harm: readers pass over it. It is removed for tidiness.
    if (openedBySlot !== undefined) await store.remove(keySlotName(openedBySlot), {}, signal);
    throw alreadyThere(store);
  }
  return { store, random, descriptor, keys, ...(openedBySlot === undefined ? {} : { openedBySlot }) };
}

function alreadyThere(store: VaultStore): FarsideError {
  return new FarsideError(
    "already-exists",
    `There is a vault in ${store.location} already: use it, or give another container.`,
    {
      details: { location: store.location },
    },
  );
}
