import type { Defect } from "../../core/vault/corrupt.ts";
import { corrupt, defectOf } from "../../core/vault/corrupt.ts";
import { FarsideError } from "../../core/errors.ts";
import type { KeySlot } from "../../core/vault/key-slot.ts";
import { maxKeySlots, maxSmallDocumentBytes } from "../../core/vault/limits.ts";
import { keySlotPrefix, parseKeySlotName } from "../../core/vault/names.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import type { VaultStore } from "../../ports/vault-store.ts";
import { parseKeySlot } from "../../wire/vault/key-slot.ts";
import type { OpenVault } from "./open-vault.ts";

export interface KeySlots {
  /** Those that belong to this vault and are whole, in order of name. */
  readonly slots: readonly KeySlot[];
  readonly defects: readonly Defect[];
}

export interface KeySlotEntry {
  readonly slotId: string;
  readonly kind: KeySlot["kind"];
  readonly createdAt: Timestamp;
  /** Whether this is the slot by which the vault was opened. */
  readonly inUse: boolean;
}

/** The whole key slots of an open vault, and what is wrong with the others. */
export async function listKeySlots(
  vault: OpenVault,
  signal: AbortSignal,
): Promise<{ readonly slots: readonly KeySlotEntry[]; readonly defects: readonly Defect[] }> {
  const { slots, defects } = await readKeySlots(vault.store, vault.descriptor.vaultId, signal);
  const entries = slots.map(({ slotId, kind, createdAt }) => {
    return { slotId, kind, createdAt, inUse: slotId === vault.openedBySlot };
  });
  return { slots: entries, defects };
}

/** Reads all of `keys/`. A slot of another vault (left there by an init that lost a race, or copied) counts as damaged. */
export async function readKeySlots(store: VaultStore, vaultId: string, signal: AbortSignal): Promise<KeySlots> {
  const slots: KeySlot[] = [];
  const defects: Defect[] = [];
  let seen = 0;
  for await (const { name } of store.list(keySlotPrefix, signal)) {
    seen += 1;
    if (seen > maxKeySlots) {
      throw new FarsideError(
        "vault-corrupt",
        `The vault ${store.location} has more than ${maxKeySlots} blobs in ${keySlotPrefix}: remove what is not a key slot.`,
        { details: { object: keySlotPrefix, reason: "too-long", expected: maxKeySlots } },
      );
    }
    try {
      const slot = await readKeySlot(store, name, signal);
      if (slot === undefined) continue;
      if (slot.vaultId !== undefined && slot.vaultId !== vaultId) {
        const defect = { object: name, reason: "other-vault", expected: vaultId, found: slot.vaultId } as const;
        throw corrupt(defect, `it belongs to the vault ${slot.vaultId}`);
      }
      slots.push(slot);
    } catch (error) {
      const defect = defectOf(error);
      if (defect === undefined) throw error;
      defects.push(defect);
    }
  }
  return { slots, defects };
}

async function readKeySlot(store: VaultStore, name: string, signal: AbortSignal): Promise<KeySlot | undefined> {
  const slotId = parseKeySlotName(name);
  if (slotId === undefined) {
    throw corrupt({ object: name, reason: "wrong-path" }, "its name is none of a key slot");
  }
  const blob = await store.read(name, maxSmallDocumentBytes, signal);
  return blob === undefined ? undefined : parseKeySlot(name, slotId, blob.content);
}
