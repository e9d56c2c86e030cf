import { z } from "zod";
import { corrupt } from "../../core/vault/corrupt.ts";
import type { KeySlot } from "../../core/vault/key-slot.ts";
import { checkSlot } from "../../core/vault/key-slot.ts";
import { checkDocument, macSchema, parseJsonObject, timestampSchema, vaultIdSchema } from "./document.ts";

const base = {
  slotId: z.string().regex(/^[A-Za-z0-9-]{1,64}$/),
  vaultId: vaultIdSchema.optional(),
  createdAt: timestampSchema,
  checksum: macSchema.optional(),
};

const schema = z.discriminatedUnion("kind", [
  z.looseObject({
    ...base,
    kind: z.literal("passphrase"),
    kdf: z.object({
      name: z.literal("scrypt"),
      n: z.int().min(2),
      r: z.int().min(1),
      p: z.int().min(1),
      salt: z.string(),
    }),
    wrapped: z.object({ nonce: z.string(), ciphertext: z.string() }),
  }),
  z.looseObject({
    ...base,
    kind: z.literal("key-vault"),
    keyUrl: z.string(),
    algorithm: z.literal("RSA-OAEP-256"),
    wrapped: z.object({ ciphertext: z.string() }),
  }),
]);

/** A key slot whose checksum is right. `slotId` is what the blob's name says. Throws `vault-corrupt`. */
export function parseKeySlot(object: string, slotId: string, bytes: Uint8Array): KeySlot {
  const slot = checkDocument(object, parseJsonObject(object, bytes), schema) as KeySlot;
  if (slot.slotId !== slotId) {
    throw corrupt(
      { object, reason: "wrong-path", expected: slotId, found: slot.slotId },
      `it says that it is ${slot.slotId}`,
    );
  }
  checkSlot(slot);
  return slot;
}
