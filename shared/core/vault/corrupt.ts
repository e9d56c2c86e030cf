import { FarsideError } from "../errors.ts";

/** What a reader can find wrong with one stored thing. Stable: findings, errors and the museum of damaged vaults name them. */
export type DefectReason =
  | "missing"
  | "too-short"
  | "too-long"
  | "length-mismatch"
  | "length-implausible"
  | "bad-magic"
  | "wrong-kind"
  | "unknown-flags"
  | "encryption-mismatch"
  | "unknown-epoch"
  | "plain-length"
  | "nonce-not-zero"
  | "wrong-id"
  | "tag-mismatch"
  | "bad-compression"
  | "content-mismatch"
  | "bad-count"
  | "geometry-mismatch"
  | "not-json"
  | "not-canonical"
  | "bad-field"
  | "checksum-mismatch"
  | "mac-mismatch"
  | "other-vault"
  | "wrong-path"
  | "kdf-out-of-bounds"
  | "no-key-slot"
  | "unexpected-keys";

export interface Defect {
  /** The blob's name in the container. */
  readonly object: string;
  readonly reason: DefectReason;
  readonly expected?: string | number;
  readonly found?: string | number;
}

/** `vault-corrupt`, with the defect as its details. `what` completes "<object> is damaged: …". */
export function corrupt(defect: Defect, what: string, cause?: unknown): FarsideError {
  return new FarsideError(
    "vault-corrupt",
    `${defect.object} is damaged: ${what}. Run "farside verify" to see every restore point that it touches.`,
    { details: { ...defect }, ...(cause === undefined ? {} : { cause }) },
  );
}

/** The defect that a `vault-corrupt` error carries; undefined for anything else. */
export function defectOf(error: unknown): Defect | undefined {
  if (!(error instanceof FarsideError) || error.code !== "vault-corrupt") return undefined;
  const { object, reason } = error.details;
  if (typeof object !== "string" || typeof reason !== "string") return undefined;
  return error.details as unknown as Defect;
}
