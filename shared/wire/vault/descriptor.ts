import { z } from "zod";
import { corrupt } from "../../core/vault/corrupt.ts";
import { FarsideError } from "../../core/errors.ts";
import type { VaultDescriptor } from "../../core/vault/descriptor.ts";
import { allowedChunkSizesBytes } from "../../core/vault/limits.ts";
import { descriptorName } from "../../core/vault/names.ts";
import { checkDocument, parseJsonObject, timestampSchema, vaultIdSchema } from "./document.ts";

const schema = z.object({
  format: z.literal("farside-vault"),
  version: z.literal(1),
  vaultId: vaultIdSchema,
  createdAt: timestampSchema,
  chunkSizeBytes: z.int().refine((size) => allowedChunkSizesBytes.includes(size), "is no chunk size of the format"),
  segmentChunks: z.literal(1024),
  compression: z.literal("zstd"),
  encryption: z.enum(["aes-256-gcm", "none"]),
});

/**
 * vault.json. Another version is told apart (`vault-version-unknown`) before anything else is looked at, since a later version may
 * mean anything by its other fields.
 */
export function parseDescriptor(bytes: Uint8Array, location: string): VaultDescriptor {
  const document = parseJsonObject(descriptorName, bytes);
  if (document["format"] !== "farside-vault") {
    throw corrupt(
      { object: descriptorName, reason: "bad-field", found: "format" },
      'its "format" is not "farside-vault"',
    );
  }
  const { version } = document;
  if (typeof version === "number" && version !== 1) {
    throw new FarsideError(
      "vault-version-unknown",
      `The vault ${location} has format version ${version}, and this release knows version 1: use a release that knows it.`,
      { details: { version, known: [1] } },
    );
  }
  return checkDocument(descriptorName, document, schema);
}
