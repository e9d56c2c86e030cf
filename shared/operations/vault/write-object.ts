/**
 * Writes one stored object, or finds that it is there (docs/vault-format.md, rule W3).
 *
 * 1. HEAD first: what is there already never crosses the network again, and costs no compression.
 * 2. What is found is reused within R of its Last-Modified, measured from the session's start (core/vault/session-rules.ts says
 *    why that is safe), else refreshed; a refresh that finds nothing leads to a write.
 * 3. What is found with a length that this content cannot have is damaged: it is neither reused nor overwritten.
 */
import { corrupt } from "../../core/vault/corrupt.ts";
import { FarsideError } from "../../core/errors.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import type { ObjectId, ObjectKind } from "../../core/vault/object-id.ts";
import { objectIdOf, objectName, zeroObjectId } from "../../core/vault/object-id.ts";
import { mayReuse } from "../../core/vault/session-rules.ts";
import { encodeObject, isPlausibleStoredLength, maxStoredBytes, nonceBytes } from "../../core/vault/stored-object.ts";
import type { VaultBlob } from "../../ports/vault-store.ts";
import type { OpenVault } from "./open-vault.ts";

/** One attempt of one run, from its first write on (rule W1); see `startSession`. */
export interface Session {
  /** The service's time. */
  readonly startedAt: Timestamp;
}

export interface WrittenObject {
  readonly id: ObjectId;
  /** `zero`: nothing to store. `reused` and `refreshed`: it was there. */
  readonly outcome: "zero" | "written" | "reused" | "refreshed";
  /** What this call added to the vault: 0 unless `written`. */
  readonly storedBytes: number;
}

/** Each round loses to a writer and then to a collection: three in a row do not happen by themselves. */
const maxRounds = 3;

/** Throws `vault-corrupt` (rule 3), `conflict`, and what the store throws. */
export async function writeObject(
  vault: OpenVault,
  kind: ObjectKind,
  plain: Uint8Array,
  session: Session,
  signal: AbortSignal,
): Promise<WrittenObject> {
  return writeObjectAs(vault, kind, objectIdOf(vault.keys, kind, plain), plain, session, signal);
}

/** As `writeObject`, for a caller that has the id already. */
export async function writeObjectAs(
  vault: OpenVault,
  kind: ObjectKind,
  id: ObjectId,
  plain: Uint8Array,
  session: Session,
  signal: AbortSignal,
): Promise<WrittenObject> {
  if (id === zeroObjectId) return { id, outcome: "zero", storedBytes: 0 };
  const name = objectName(kind, id);
  let stored: Uint8Array | undefined;
  for (let round = 0; round < maxRounds; round++) {
    const found = await vault.store.head(name, signal);
    if (found !== undefined) {
      checkFound(vault, found, plain.length);
      if (mayReuse(found.lastModified, session.startedAt)) return { id, outcome: "reused", storedBytes: 0 };
      if ((await vault.store.refresh(name, signal)) !== undefined) return { id, outcome: "refreshed", storedBytes: 0 };
    }
    stored ??= await encodeObject(vault.keys, kind, id, plain, vault.random.bytes(nonceBytes));
    const written = await vault.store.create(name, stored, signal);
    if (written.kind === "created") return { id, outcome: "written", storedBytes: stored.length };
  }
  throw new FarsideError("conflict", `${name} came and went ${maxRounds} times while it was written: try again.`, {
    details: { object: name },
  });
}

function checkFound(vault: OpenVault, found: VaultBlob, plainBytes: number): void {
  if (isPlausibleStoredLength(vault.keys, plainBytes, found.sizeBytes)) return;
  throw corrupt(
    {
      object: found.name,
      reason: "length-implausible",
      expected: maxStoredBytes(vault.keys, plainBytes),
      found: found.sizeBytes,
    },
    `it has ${found.sizeBytes} bytes, which ${plainBytes} bytes of content cannot have`,
  );
}
