import type { Manifest } from "../../core/vault/manifest.ts";
import { objectName } from "../../core/vault/object-id.ts";
import type { JsonObject } from "../../wire/vault/document.ts";
import { parseJsonObject } from "../../wire/vault/document.ts";
import type { OpenVault } from "./open-vault.ts";
import { readObject } from "./read-object.ts";

/** The captured configuration of a restore point, as it was stored. Throws `vault-corrupt`. */
export async function readConfiguration(
  vault: OpenVault,
  { configuration }: Pick<Manifest, "configuration">,
  signal: AbortSignal,
): Promise<JsonObject> {
  const plain = await readObject(vault, "document", configuration, signal);
  return parseJsonObject(objectName("document", configuration), plain);
}
