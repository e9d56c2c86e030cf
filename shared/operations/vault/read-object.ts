import { releaseBytes } from "../../core/release-bytes.ts";
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
  const plain = await decodeObject(vault.keys, expected, blob.content);
  // What a store gives is its reader's alone. Without a cipher and without compression it is the plain content itself.
  if (plain.buffer !== blob.content.buffer) releaseBytes(blob.content);
  return plain;
}
