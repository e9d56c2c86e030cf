/**
 * Key slots: the data keys of a vault, wrapped by a passphrase (docs/vault-format.md, "Keys").
 *
 * 1. A slot is input from outside: what it asks of scrypt is bounded before scrypt runs.
 * 2. The checksum is no protection against an attacker. It tells a damaged slot from a wrong passphrase, which the seal alone
 *    cannot, so that nobody doubts a passphrase that is right.
 */
import { createCipheriv, createDecipheriv, createHash, scrypt } from "node:crypto";
import { FarsideError } from "../errors.ts";
import type { Timestamp } from "../timestamp.ts";
import { canonicalJson } from "./canonical-json.ts";
import { corrupt } from "./corrupt.ts";
import { dataKeyBytes } from "./data-keys.ts";
import { keySlotName } from "./names.ts";

export interface ScryptParameters {
  /** Memory and time: 128 × n × r bytes. A power of two. */
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** 128 MiB and about 0.4 s: what the OWASP password storage cheat sheet asks of scrypt at least. */
export const defaultScrypt: ScryptParameters = { n: 131_072, r: 8, p: 1 };
const maxScryptMemoryBytes = 256 * 1024 * 1024;
const maxScryptParallelism = 4;

export const saltBytes = 16;
const wrapNonceBytes = 12;
const wrapTagBytes = 16;
const leastPassphraseCharacters = 16;
/** Epochs are a u16 in every object; nobody rotates as often. */
const maxEpochs = 256;

interface KeySlotBase {
  readonly slotId: string;
  /** Absent in slots of other writers. */
  readonly vaultId?: string;
  readonly createdAt: Timestamp;
  readonly checksum?: string;
}

export interface PassphraseSlot extends KeySlotBase {
  readonly kind: "passphrase";
  readonly kdf: ScryptParameters & { readonly name: "scrypt"; readonly salt: string };
  /** Base64. */
  readonly wrapped: { readonly nonce: string; readonly ciphertext: string };
}

interface KeyVaultSlot extends KeySlotBase {
  readonly kind: "key-vault";
  readonly keyUrl: string;
  readonly algorithm: "RSA-OAEP-256";
  readonly wrapped: { readonly ciphertext: string };
}

export type KeySlot = PassphraseSlot | KeyVaultSlot;

/** Refuses with `bad-input` what is too short to protect a vault. Counts characters as people do: code points, after NFC. */
export function checkPassphrase(passphrase: string): void {
  const characters = Array.from(passphrase.normalize("NFC")).length;
  if (characters >= leastPassphraseCharacters) return;
  throw new FarsideError(
    "bad-input",
    `The passphrase has ${characters} characters: use at least ${leastPassphraseCharacters}, for example five words by chance.`,
    { details: { characters, least: leastPassphraseCharacters } },
  );
}

export interface NewPassphraseSlot {
  readonly vaultId: string;
  readonly slotId: string;
  readonly createdAt: Timestamp;
  readonly passphrase: string;
  /** 32 bytes for each epoch from 0 up. */
  readonly dataKeys: Uint8Array;
  /** 16 and 12 random bytes. */
  readonly salt: Uint8Array;
  readonly nonce: Uint8Array;
  readonly scrypt: ScryptParameters;
}

export async function wrapDataKeys(slot: NewPassphraseSlot): Promise<PassphraseSlot> {
  const key = await deriveKey(slot.passphrase, slot.salt, slot.scrypt);
  const cipher = createCipheriv("aes-256-gcm", key, slot.nonce);
  cipher.setAAD(additionalData(slot.vaultId, slot.slotId));
  const ciphertext = Buffer.concat([cipher.update(slot.dataKeys), cipher.final(), cipher.getAuthTag()]);
  const { n, r, p } = slot.scrypt;
  return withChecksum({
    slotId: slot.slotId,
    vaultId: slot.vaultId,
    kind: "passphrase",
    createdAt: slot.createdAt,
    kdf: { name: "scrypt", n, r, p, salt: Buffer.from(slot.salt).toString("base64") },
    wrapped: { nonce: Buffer.from(slot.nonce).toString("base64"), ciphertext: ciphertext.toString("base64") },
  });
}

/**
 * The data keys, or undefined where the passphrase is not this slot's. Throws `vault-corrupt` where the slot cannot be opened by
 * any passphrase: its checksum is wrong, its lengths are, or its parameters are out of bounds.
 */
export async function unwrapDataKeys(
  slot: PassphraseSlot,
  vaultId: string,
  passphrase: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  checkSlot(slot);
  const object = keySlotName(slot.slotId);
  const { n, r, p } = slot.kdf;
  const memory = 128 * n * r;
  if (n < 2 || (n & (n - 1)) !== 0 || r < 1 || p < 1 || memory > maxScryptMemoryBytes || p > maxScryptParallelism) {
    throw corrupt(
      { object, reason: "kdf-out-of-bounds", found: `n=${n} r=${r} p=${p}` },
      "its scrypt parameters are out of bounds",
    );
  }
  const salt = sized(object, "kdf.salt", slot.kdf.salt, (length) => length === saltBytes);
  const nonce = sized(object, "wrapped.nonce", slot.wrapped.nonce, (length) => length === wrapNonceBytes);
  const wrapped = sized(object, "wrapped.ciphertext", slot.wrapped.ciphertext, (length) => {
    const keys = length - wrapTagBytes;
    return keys >= dataKeyBytes && keys % dataKeyBytes === 0 && keys <= maxEpochs * dataKeyBytes;
  });
  const key = await deriveKey(passphrase, salt, slot.kdf);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: wrapTagBytes });
  decipher.setAAD(additionalData(vaultId, slot.slotId));
  decipher.setAuthTag(wrapped.subarray(wrapped.length - wrapTagBytes));
  const dataKeys = decipher.update(wrapped.subarray(0, wrapped.length - wrapTagBytes));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return dataKeys;
}

/** Throws `vault-corrupt` where a slot's checksum is not that of its other fields. */
export function checkSlot(slot: KeySlot): void {
  if (slot.checksum === undefined || slot.checksum === checksumOf(slot)) return;
  throw corrupt(
    { object: keySlotName(slot.slotId), reason: "checksum-mismatch" },
    "its checksum does not fit its fields",
  );
}

function withChecksum<T extends KeySlot>(slot: T): T {
  return { ...slot, checksum: checksumOf(slot) };
}

/** Hex SHA-256 of the slot's canonical JSON without `checksum`. */
function checksumOf(slot: KeySlot): string {
  return createHash("sha256")
    .update(canonicalJson({ ...slot, checksum: undefined }))
    .digest("hex");
}

function additionalData(vaultId: string, slotId: string): Buffer {
  return Buffer.from(`${vaultId}/${slotId}`, "utf8");
}

function sized(object: string, field: string, text: string, fits: (length: number) => boolean): Buffer {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") === text && fits(bytes.length)) return bytes;
  throw corrupt(
    { object, reason: "bad-field", found: `${field}: ${bytes.length} bytes` },
    `its ${field} is not base64 of the right length`,
  );
}

function deriveKey(passphrase: string, salt: Uint8Array, { n, r, p }: ScryptParameters): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const memory = 128 * n * r + 128 * r * p + 1024 * 1024;
    scrypt(Buffer.from(passphrase.normalize("NFC"), "utf8"), salt, 32, { N: n, r, p, maxmem: memory }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
