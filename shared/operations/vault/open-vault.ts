/**
 * Opens a vault: reads vault.json and, where it is encrypted, the key slots, until the passphrase opens one.
 *
 * 1. No answer is made up: an unknown version, no passphrase, a wrong one and damaged slots are four different errors.
 * 2. A passphrase given for a vault that says it is not encrypted is refused. vault.json carries no seal of its own: whoever
 *    can write to the container could else turn encryption off, and the next backup would store plain data.
 */
import type { Defect } from "../../core/vault/corrupt.ts";
import { corrupt, defectOf } from "../../core/vault/corrupt.ts";
import type { VaultKeys } from "../../core/vault/data-keys.ts";
import { deriveKeys } from "../../core/vault/data-keys.ts";
import type { VaultDescriptor } from "../../core/vault/descriptor.ts";
import { FarsideError } from "../../core/errors.ts";
import type { PassphraseSlot } from "../../core/vault/key-slot.ts";
import { unwrapDataKeys } from "../../core/vault/key-slot.ts";
import { maxSmallDocumentBytes } from "../../core/vault/limits.ts";
import { descriptorName, keySlotPrefix } from "../../core/vault/names.ts";
import type { Random } from "../../ports/random.ts";
import type { VaultStore } from "../../ports/vault-store.ts";
import { parseDescriptor } from "../../wire/vault/descriptor.ts";
import { readKeySlots } from "./list-key-slots.ts";

/** An open vault: what every operation on it takes. Holds no connection and needs no closing. */
export interface OpenVault {
  readonly store: VaultStore;
  readonly descriptor: VaultDescriptor;
  readonly keys: VaultKeys;
  /** For nonces. */
  readonly random: Random;
  /** The key slot that the passphrase opened. */
  readonly openedBySlot?: string;
}

export interface OpenVaultOptions {
  readonly store: VaultStore;
  readonly random: Random;
  readonly passphrase?: string | undefined;
}

/**
 * Throws `not-found` (no vault there), `vault-version-unknown`, `passphrase-missing`, `passphrase-wrong`, `vault-corrupt`
 * (vault.json or all slots damaged, no slot at all), `refused` (rule 2), and what the store throws.
 */
export async function openVault(options: OpenVaultOptions, signal: AbortSignal): Promise<OpenVault> {
  const { store, random, passphrase } = options;
  const descriptor = await readDescriptor(store, signal);
  if (descriptor.encryption === "none") {
    await refuseDowngrade(store, passphrase, signal);
    return { store, random, descriptor, keys: { kind: "none" } };
  }
  const { slots, defects } = await readKeySlots(store, descriptor.vaultId, signal);
  if (slots.length === 0 && defects.length === 0) {
    throw corrupt({ object: keySlotPrefix, reason: "no-key-slot" }, "it holds no key slot, and the vault is encrypted");
  }
  if (slots.length === 0) throw allDamaged(defects);
  if (passphrase === undefined) {
    throw new FarsideError(
      "passphrase-missing",
      `The vault ${store.location} is encrypted: give its passphrase in FARSIDE_PASSPHRASE, a file or at the prompt.`,
    );
  }
  const broken = [...defects];
  const tried = slots.filter((slot): slot is PassphraseSlot => slot.kind === "passphrase");
  for (const slot of tried) {
    signal.throwIfAborted();
    try {
      const dataKeys = await unwrapDataKeys(slot, descriptor.vaultId, passphrase);
      if (dataKeys === undefined) continue;
      const keys = deriveKeys(descriptor.vaultId, dataKeys);
      return { store, random, descriptor, keys, openedBySlot: slot.slotId };
    } catch (error) {
      const defect = defectOf(error);
      if (defect === undefined) throw error;
      broken.push(defect);
    }
  }
  // As many damaged as there are: no passphrase could have been right.
  if (broken.length - defects.length === slots.length) throw allDamaged(broken);
  throw noSlotOpened(store, slots.length - tried.length, tried.length, broken);
}

async function readDescriptor(store: VaultStore, signal: AbortSignal): Promise<VaultDescriptor> {
  const blob = await store.read(descriptorName, maxSmallDocumentBytes, signal);
  if (blob !== undefined) return parseDescriptor(blob.content, store.location);
  throw new FarsideError(
    "not-found",
    `There is no vault in ${store.location}: it holds no vault.json. Make one with "farside vault init", or give another container.`,
    { details: { location: store.location } },
  );
}

async function refuseDowngrade(store: VaultStore, passphrase: string | undefined, signal: AbortSignal): Promise<void> {
  for await (const blob of store.list(keySlotPrefix, signal)) {
    const what = "it says that the vault is not encrypted, and there are key slots";
    throw corrupt({ object: descriptorName, reason: "unexpected-keys", found: blob.name }, what);
  }
  if (passphrase === undefined) return;
  throw new FarsideError(
    "refused",
    `The vault ${store.location} says that it is not encrypted, and a passphrase was given: if it is meant to be unencrypted, give none; if not, somebody has replaced its vault.json.`,
    { details: { location: store.location } },
  );
}

function allDamaged(defects: readonly Defect[]): FarsideError {
  const names = defects.map((defect) => defect.object).join(", ");
  return new FarsideError(
    "vault-corrupt",
    `No key slot of the vault is whole (${names}), so that no passphrase can open it: put one of these blobs back from a copy of the vault.`,
    { details: { ...defects[0], slots: defects } },
  );
}

function noSlotOpened(store: VaultStore, otherKinds: number, tried: number, broken: readonly Defect[]): FarsideError {
  const damaged = broken.map((defect) => defect.object).join(", ");
  const notes = [
    broken.length === 0 ? "" : ` Damaged, so that it was not tried: ${damaged}.`,
    otherKinds === 0 ? "" : ` ${otherKinds} more are wrapped by a key vault, which this release does not open.`,
  ];
  return new FarsideError(
    "passphrase-wrong",
    `The passphrase opens none of the ${tried} passphrase slots of the vault ${store.location}.${notes.join("")}`,
    { details: { location: store.location, tried, damaged: broken.map((defect) => defect.object) } },
  );
}
