import { z } from "zod";
import { parsePointId } from "../../core/ids.ts";
import type { Seal } from "../../core/vault/seal.ts";
import type { JsonObject } from "./document.ts";
import { checkDocument, epochSchema, macSchema, parsedString, timestampSchema } from "./document.ts";

const schema = z.looseObject({
  formatVersion: z.literal(1),
  pointId: parsedString(parsePointId),
  manifestMac: macSchema,
  manifestLastModified: timestampSchema,
  keyEpoch: epochSchema,
  mac: macSchema,
});

/** Throws `vault-corrupt`. */
export function parseSeal(object: string, document: JsonObject): Seal {
  return checkDocument(object, document, schema);
}
