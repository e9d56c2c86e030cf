import { defectOf } from "../../core/vault/corrupt.ts";
import type { ObjectId, ObjectKind } from "../../core/vault/object-id.ts";
import { maxPlainBytes, objectName } from "../../core/vault/object-id.ts";
import { decodeObject } from "../../core/vault/stored-object.ts";
import type { OpenVault } from "./open-vault.ts";

/** What can lie in the place of an object at most: a Put Blob of another program. Bigger ones are left where they are. */
const maxEvidenceBytes = 64 * 1024 * 1024;

/**
 * Takes a damaged object out of its place, after keeping its bytes as evidence in `quarantine/<id>.<n>`, so that the next backup that has
 * its content writes it anew, and heals every restore point that it hit. Touches nothing that decodes: the proof is made here, on the
 * very bytes that are removed (by their ETag).
 */
export async function quarantineObject(
  vault: OpenVault,
  kind: ObjectKind,
  id: ObjectId,
  signal: AbortSignal,
): Promise<"quarantined" | "whole" | "absent" | "changed"> {
  const name = objectName(kind, id);
  const blob = await vault.store.read(name, maxEvidenceBytes, signal);
  if (blob === undefined) return "absent";
  try {
    const most = maxPlainBytes(kind, vault.descriptor.chunkSizeBytes);
    await decodeObject(vault.keys, { kind, id, maxPlainBytes: most }, blob.content);
    return "whole";
  } catch (error) {
    const reason = defectOf(error)?.reason;
    // Of a key epoch that this key slot does not reach, nothing is proven.
    if (reason === undefined || reason === "unknown-epoch") throw error;
  }
  for (let n = 0; ; n++) {
    const kept = await vault.store.create(`quarantine/${id}.${n}`, blob.content, signal);
    if (kept.kind === "created") break;
  }
  const removed = await vault.store.remove(name, { ifMatch: blob.etag }, signal);
  return removed === "removed" ? "quarantined" : removed;
}
