import { corrupt } from "../../core/vault/corrupt.ts";
import type { ObjectId, ObjectKind } from "../../core/vault/object-id.ts";
import { maxPlainBytes, objectName } from "../../core/vault/object-id.ts";
import { decodeObject, maxStoredBytes } from "../../core/vault/stored-object.ts";
import type { OpenVault } from "./open-vault.ts";

/**
 * The plain content of a stored object, after every check of the format. Never called with the zero id, which is not stored.
 * `plainBytes`: how long it must be, where its place says so. Throws `vault-corrupt` with a Defect (`missing` too).
 */
export async function readObject(
  vault: OpenVault,
  kind: ObjectKind,
  id: ObjectId,
  signal: AbortSignal,
  plainBytes?: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const name = objectName(kind, id);
  const most = maxPlainBytes(kind, vault.descriptor.chunkSizeBytes);
  const blob = await vault.store.read(name, maxStoredBytes(vault.keys, most), signal);
  if (blob === undefined) throw corrupt({ object: name, reason: "missing" }, "it is missing");
  const expected = { kind, id, maxPlainBytes: most, ...(plainBytes === undefined ? {} : { plainBytes }) };
  return decodeObject(vault.keys, expected, blob.content);
}
