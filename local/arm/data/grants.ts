/**
 * Access to the bytes of disks and snapshots by URL, as beginGetAccess grants it and endGetAccess takes it back.
 *
 * 1. The same resource asked again gives the same URL, with its new end.
 * 2. At most five snapshots of one family have a URL at a time (the documented limit of incremental snapshots).
 * 3. Whoever has the URL has the bytes: the signature is compared in constant time, and never logged.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { ServiceError } from "../service-error.ts";

export type Access = "Read" | "Write";

export interface Grant {
  readonly name: string;
  readonly signature: string;
  /** The ARM id of the disk, snapshot or disk restore point. */
  readonly resourceId: string;
  readonly access: Access;
  /** Differences are given within one family. */
  readonly familyId: string | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export const sharesOfFamily = 5;

export class Grants {
  readonly #byName = new Map<string, Grant>();

  begin(asked: Omit<Grant, "name" | "signature">, now: number): Grant {
    const standing = this.of(asked.resourceId);
    if (standing !== undefined && standing.access === asked.access) {
      const longer = { ...standing, expiresAt: asked.expiresAt };
      this.#byName.set(standing.name, longer);
      return longer;
    }
    if (asked.familyId !== undefined && this.#ofFamily(asked.familyId, now) >= sharesOfFamily) {
      const text = `Only ${sharesOfFamily} snapshots of one disk can have a SAS at a time. Call EndGetAccess on one of them first.`;
      throw new ServiceError(409, "TooManyActiveSnapshotSasUris", text);
    }
    const grant = {
      ...asked,
      name: `md-${randomBytes(8).toString("hex")}`,
      signature: randomBytes(32).toString("base64url"),
    };
    this.#byName.set(grant.name, grant);
    return grant;
  }

  end(resourceId: string): void {
    const standing = this.of(resourceId);
    if (standing !== undefined) this.#byName.delete(standing.name);
  }

  /** Those that have ended by themselves too. */
  all(): readonly Grant[] {
    return [...this.#byName.values()];
  }

  of(resourceId: string): Grant | undefined {
    return [...this.#byName.values()].find((grant) => grant.resourceId === resourceId);
  }

  /** Undefined for a name, a signature or a time that is not right: the caller learns no more than that. */
  find(name: string, signature: string, now: number): Grant | undefined {
    const grant = this.#byName.get(name);
    if (grant === undefined || grant.expiresAt <= now) return undefined;
    const [given, right] = [Buffer.from(signature), Buffer.from(grant.signature)];
    return given.length === right.length && timingSafeEqual(given, right) ? grant : undefined;
  }

  #ofFamily(familyId: string, now: number): number {
    return [...this.#byName.values()].filter((grant) => grant.familyId === familyId && grant.expiresAt > now).length;
  }
}
