import type { ObjectId, ObjectKind } from "../../core/vault/object-id.ts";
import { objectIdOf, zeroObjectId } from "../../core/vault/object-id.ts";
import type { OpenVault } from "./open-vault.ts";
import type { Session, WrittenObject } from "./write-object.ts";
import { writeObjectAs } from "./write-object.ts";

export interface ObjectWriter {
  /** As `writeObject`. Of one content written twice through this writer, the second costs no request and is `reused`. */
  write(kind: ObjectKind, plain: Uint8Array): Promise<WrittenObject>;
}

/** Ids remembered as written: about 10 MB. The oldest are forgotten first, which costs a HEAD, no more. */
const maxRemembered = 65_536;

/**
 * Writes the objects of one session. Disks repeat themselves (a page of 0xFF, a copied file): the same id in flight is awaited, not
 * written again. One signal for all, so that nobody who waits is cancelled by another's.
 */
export function createObjectWriter(vault: OpenVault, session: Session, signal: AbortSignal): ObjectWriter {
  const inFlight = new Map<ObjectId, Promise<WrittenObject>>();
  const remembered = new Set<ObjectId>();

  const remember = (id: ObjectId): void => {
    remembered.add(id);
    if (remembered.size <= maxRemembered) return;
    const [oldest] = remembered;
    if (oldest !== undefined) remembered.delete(oldest);
  };

  return {
    async write(kind, plain) {
      signal.throwIfAborted();
      const id = objectIdOf(vault.keys, kind, plain);
      if (id === zeroObjectId) return { id, outcome: "zero", storedBytes: 0 };
      const known: WrittenObject = { id, outcome: "reused", storedBytes: 0 };
      if (remembered.has(id)) return known;
      const other = inFlight.get(id);
      if (other !== undefined) {
        await other;
        return known;
      }
      const writing = writeObjectAs(vault, kind, id, plain, session, signal);
      inFlight.set(id, writing);
      try {
        const written = await writing;
        remember(id);
        return written;
      } finally {
        inFlight.delete(id);
      }
    },
  };
}
