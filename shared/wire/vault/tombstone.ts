import { z } from "zod";
import { parsePointId, parseVmId } from "../../core/ids.ts";
import type { Tombstone } from "../../core/vault/seal.ts";
import type { JsonObject } from "./document.ts";
import { checkDocument, epochSchema, macSchema, parsedString, vaultIdSchema } from "./document.ts";

const schema = z.looseObject({
  formatVersion: z.literal(1),
  vaultId: vaultIdSchema,
  vmId: parsedString(parseVmId),
  pointId: parsedString(parsePointId),
  manifestMac: macSchema,
  reason: z.string().min(1).max(1000),
  keyEpoch: epochSchema,
  mac: macSchema,
});

/** Throws `vault-corrupt`. */
export function parseTombstone(object: string, document: JsonObject): Tombstone {
  return checkDocument(object, document, schema);
}
