import { FarsideError } from "../../core/errors.ts";
import { timestamp } from "../../core/timestamp.ts";
import { canonicalJsonBytes } from "../../core/vault/canonical-json.ts";
import { corrupt } from "../../core/vault/corrupt.ts";
import type { PassphraseSlot, ScryptParameters } from "../../core/vault/key-slot.ts";
import { checkPassphrase, defaultScrypt, saltBytes, unwrapDataKeys, wrapDataKeys } from "../../core/vault/key-slot.ts";
import { maxSmallDocumentBytes } from "../../core/vault/limits.ts";
import { keySlotName } from "../../core/vault/names.ts";
import { nonceBytes } from "../../core/vault/stored-object.ts";
import { ulid } from "../../core/ulid.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Random } from "../../ports/random.ts";
import type { VaultStore } from "../../ports/vault-store.ts";
import { parseKeySlot } from "../../wire/vault/key-slot.ts";
import type { OpenVault } from "./open-vault.ts";

export interface AddKeySlotOptions {
  readonly passphrase: string;
  readonly clock: Clock;
  /** Only tests give less than the default. */
  readonly scrypt?: ScryptParameters;
}

/** Another passphrase opens the vault too, once this returns the new slot's id: it was read back and opened. */
export async function addKeySlot(vault: OpenVault, options: AddKeySlotOptions, signal: AbortSignal): Promise<string> {
  if (vault.keys.kind === "none") {
    throw new FarsideError("refused", `The vault ${vault.store.location} is not encrypted: it has no keys to wrap.`);
  }
  const { vaultId } = vault.descriptor;
  const dataKeys = new Uint8Array(vault.keys.dataKeys.export());
  return writeKeySlot({ store: vault.store, random: vault.random, vaultId, dataKeys, ...options }, signal);
}

export interface NewKeySlot extends AddKeySlotOptions {
  readonly store: VaultStore;
  readonly random: Random;
  readonly vaultId: string;
  readonly dataKeys: Uint8Array;
}

/** Writes a slot, reads it back and proves that it opens. Returns its id. */
export async function writeKeySlot(slot: NewKeySlot, signal: AbortSignal): Promise<string> {
  checkPassphrase(slot.passphrase);
  const now = slot.clock.now();
  const slotId = ulid(now, slot.random.bytes(10));
  const wrapped = await wrapDataKeys({
    slotId,
    vaultId: slot.vaultId,
    createdAt: timestamp(now),
    passphrase: slot.passphrase,
    dataKeys: slot.dataKeys,
    salt: slot.random.bytes(saltBytes),
    nonce: slot.random.bytes(nonceBytes),
    scrypt: slot.scrypt ?? defaultScrypt,
  });
  const name = keySlotName(slotId);
  await slot.store.create(name, canonicalJsonBytes(wrapped), signal);
  const stored = await slot.store.read(name, maxSmallDocumentBytes, signal);
  if (stored === undefined) throw corrupt({ object: name, reason: "missing" }, "it was written and is not there");
  const readBack = parseKeySlot(name, slotId, stored.content) as PassphraseSlot;
  const opened = await unwrapDataKeys(readBack, slot.vaultId, slot.passphrase);
  if (opened !== undefined && Buffer.from(opened).equals(slot.dataKeys)) return slotId;
  throw corrupt({ object: name, reason: "content-mismatch" }, "it was written and does not open again");
}
