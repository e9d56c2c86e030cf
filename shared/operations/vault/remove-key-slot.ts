import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import { keySlotName } from "../../core/vault/names.ts";
import { readKeySlots } from "./list-key-slots.ts";
import type { OpenVault } from "./open-vault.ts";

/**
 * Takes a passphrase away. The slot that opened the vault is never removed: it is the proof that the vault opens without the other
 * one, and so the last whole slot cannot go, even where two people remove slots at once, each opened by another.
 * Throws `refused`, `not-found`.
 */
export async function removeKeySlot(vault: OpenVault, slotId: string, signal: AbortSignal): Promise<void> {
  if (slotId === vault.openedBySlot || vault.openedBySlot === undefined) {
    throw new FarsideError(
      "refused",
      `The key slot ${quote(slotId)} is the one that opened the vault: open it with another passphrase to remove this one.`,
      { details: { slotId } },
    );
  }
  const { slots, defects } = await readKeySlots(vault.store, vault.descriptor.vaultId, signal);
  const name = keySlotName(slotId);
  const known = slots.some((slot) => slot.slotId === slotId) || defects.some((defect) => defect.object === name);
  if (!known) {
    throw new FarsideError("not-found", `There is no key slot ${quote(slotId)}: "farside key list" shows them.`, {
      details: { slotId },
    });
  }
  // Two who remove each other's slot at once would leave none: prove that one's own still stands, as near to the removal as can be.
  if (!slots.some((slot) => slot.slotId === vault.openedBySlot)) {
    throw new FarsideError(
      "refused",
      `The key slot ${vault.openedBySlot}, which opened the vault, is gone: keep ${quote(slotId)}.`,
    );
  }
  await vault.store.remove(name, {}, signal);
}
