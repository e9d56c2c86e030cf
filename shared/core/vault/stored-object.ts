/**
 * FSO1, the frame of every stored object (docs/vault-format.md, "Stored object").
 *
 * 1. The header is the additional data of the seal, and the key comes from the id: an object cannot be altered, renamed or
 *    put in another's place without a reader noticing.
 * 2. A reader allocates nothing by what an object claims before it has compared the claim with a bound of its own.
 * 3. Whatever is wrong is a `vault-corrupt` error whose details say what (DefectReason), what was expected and what was found.
 */
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import type { Defect } from "./corrupt.ts";
import { corrupt } from "./corrupt.ts";
import type { VaultKeys } from "./data-keys.ts";
import { currentEpoch, keysOfEpoch } from "./data-keys.ts";
import { releaseBytes } from "../release-bytes.ts";
import { kindBytes, kindOfByte, objectIdAt, objectIdBytes, objectIdOf, objectName } from "./object-id.ts";
import type { ObjectId, ObjectKind } from "./object-id.ts";

const headerBytes = 56;
const tagBytes = 16;
export const nonceBytes = 12;

const magic = Buffer.from("FSO1", "latin1");
const flagZstd = 1;
const flagEncrypted = 2;
/** The smallest zstd frame: 4 bytes of magic, 2 of frame header, 3 of block header. */
const smallestFrameBytes = 9;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/**
 * Level 3 makes a program's binary 10 % smaller than level 1 does (36.5 % of its size against 40.5 %), and still hashes, packs and
 * seals 420 MiB/s on two cores with four chunks at once, against 540: more than a region's link takes. A reader accepts every level.
 */
const zstdLevel = 3;
/** A frame may ask its reader for a window of at most 16 MiB. */
const zstdMaxWindowLog = 24;

/** How many bytes at most an object of this plain length takes in the vault. */
export function maxStoredBytes(keys: VaultKeys, plainBytes: number): number {
  return headerBytes + plainBytes + (keys.kind === "encrypted" ? tagBytes : 0);
}

/**
 * Whether an object of this plain length can have this stored length: its payload is as long as the plain content, or is a zstd
 * frame that saves 3 % at least. Cheap proof, from a listing or a HEAD, that an object was not cut or emptied.
 */
export function isPlausibleStoredLength(keys: VaultKeys, plainBytes: number, storedBytes: number): boolean {
  const payload = storedBytes - maxStoredBytes(keys, 0);
  return payload === plainBytes || (payload >= smallestFrameBytes && isWorthwhile(payload, plainBytes));
}

function isWorthwhile(compressedBytes: number, plainBytes: number): boolean {
  return compressedBytes * 100 <= plainBytes * 97;
}

/**
 * The stored bytes of an object. `nonce`: 12 random bytes, new for each call. The key serves this id alone, so that only writers
 * of the same content ever share it.
 */
export async function encodeObject(
  keys: VaultKeys,
  kind: ObjectKind,
  id: ObjectId,
  plain: Uint8Array,
  nonce: Uint8Array,
): Promise<Buffer<ArrayBuffer>> {
  if (plain.length === 0) throw new RangeError("An object without content is never stored.");
  const compressed = await compress(plain, {
    // One output buffer instead of one for each 16 KiB: fewer trips to the thread pool.
    chunkSize: Math.max(1024, plain.length),
    params: { [constants.ZSTD_c_compressionLevel]: zstdLevel },
  });
  const packed = isWorthwhile(compressed.length, plain.length);
  const payload = packed ? compressed : plain;

  const epoch = currentEpoch(keys);
  const key = keysOfEpoch(keys, epoch);
  const stored = Buffer.allocUnsafe(headerBytes + payload.length + (key === undefined ? 0 : tagBytes));
  magic.copy(stored, 0);
  stored[4] = kindBytes[kind];
  stored[5] = (packed ? flagZstd : 0) | (key === undefined ? 0 : flagEncrypted);
  stored.writeUInt16LE(epoch, 6);
  stored.writeUInt32LE(plain.length, 8);
  stored.fill(0, 12, 24);
  if (key !== undefined) stored.set(nonce.subarray(0, nonceBytes), 12);
  stored.set(objectIdBytes(id), 24);
  if (key === undefined) {
    stored.set(payload, headerBytes);
    return stored;
  }
  const cipher = createCipheriv("aes-256-gcm", objectKey(key.content, id), stored.subarray(12, 24));
  cipher.setAAD(stored.subarray(0, headerBytes));
  const sealed = cipher.update(payload);
  cipher.final();
  stored.set(sealed, headerBytes);
  stored.set(cipher.getAuthTag(), headerBytes + payload.length);
  return stored;
}

export interface ExpectedObject {
  readonly kind: ObjectKind;
  readonly id: ObjectId;
  /** Nothing longer is decoded; see `maxPlainBytes`. */
  readonly maxPlainBytes: number;
  /** Where the place of the object says how long it is: a chunk of a disk, a segment. */
  readonly plainBytes?: number;
}

/** The plain content, after every check that the format asks for. Throws `vault-corrupt`. */
export async function decodeObject(
  keys: VaultKeys,
  expected: ExpectedObject,
  stored: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const object = objectName(expected.kind, expected.id);
  const header = readHeader(keys, object, expected, stored);
  const body = stored.subarray(headerBytes, stored.length - (keys.kind === "encrypted" ? tagBytes : 0));
  const payload = keys.kind === "encrypted" ? unseal(keys, object, expected.id, header.epoch, stored, body) : body;
  const plain = header.packed ? await unpack(object, payload, header.plainBytes) : payload;
  if (plain !== payload && payload !== body) releaseBytes(payload);
  if (plain.length !== header.plainBytes) {
    const defect = { object, reason: "length-mismatch", expected: header.plainBytes, found: plain.length } as const;
    throw corrupt(defect, `it holds ${plain.length} bytes where its header says ${header.plainBytes}`);
  }
  const id = objectIdOf(keys, expected.kind, plain, header.epoch);
  if (id !== expected.id) {
    throw corrupt(
      { object, reason: "content-mismatch", expected: expected.id, found: id },
      "its content does not have its id",
    );
  }
  return plain as Uint8Array<ArrayBuffer>;
}

interface Header {
  readonly epoch: number;
  readonly packed: boolean;
  readonly plainBytes: number;
}

function readHeader(keys: VaultKeys, object: string, expected: ExpectedObject, stored: Uint8Array): Header {
  const fail = (defect: Omit<Defect, "object">, what: string): never => {
    throw corrupt({ object, ...defect }, what);
  };
  const overhead = maxStoredBytes(keys, 0);
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  if (bytes.length <= overhead) {
    fail({ reason: "too-short", expected: overhead + 1, found: bytes.length }, `it has only ${bytes.length} bytes`);
  }
  if (bytes.compare(magic, 0, 4, 0, 4) !== 0) {
    const found = bytes.toString("hex", 0, 4);
    fail({ reason: "bad-magic", expected: magic.toString("hex"), found }, "it does not begin with FSO1");
  }
  const kind = bytes.readUInt8(4);
  if (kind !== kindBytes[expected.kind]) {
    const found = kindOfByte(kind) ?? kind;
    fail(
      { reason: "wrong-kind", expected: expected.kind, found },
      `it holds a ${found} where a ${expected.kind} must be`,
    );
  }
  const flags = bytes.readUInt8(5);
  if ((flags & ~(flagZstd | flagEncrypted)) !== 0) {
    fail({ reason: "unknown-flags", expected: 3, found: flags }, `its flags ${flags} are not known`);
  }
  const encrypted = (flags & flagEncrypted) !== 0;
  if (encrypted !== (keys.kind === "encrypted")) {
    const names = {
      reason: "encryption-mismatch",
      expected: keys.kind,
      found: encrypted ? "encrypted" : "none",
    } as const;
    fail(names, `it is ${encrypted ? "" : "not "}encrypted, unlike its vault`);
  }
  const epoch = bytes.readUInt16LE(6);
  if (epoch > currentEpoch(keys)) {
    const defect = { reason: "unknown-epoch", expected: currentEpoch(keys), found: epoch } as const;
    fail(defect, `it names key epoch ${epoch}, and the key slot that was opened ends at ${currentEpoch(keys)}`);
  }
  const plainBytes = bytes.readUInt32LE(8);
  const wanted = expected.plainBytes;
  if (plainBytes === 0 || plainBytes > expected.maxPlainBytes || (wanted !== undefined && plainBytes !== wanted)) {
    const defect = { reason: "plain-length", expected: wanted ?? expected.maxPlainBytes, found: plainBytes } as const;
    fail(defect, `its plain length ${plainBytes} is not ${wanted === undefined ? "at most " : ""}${defect.expected}`);
  }
  if (!encrypted && bytes.subarray(12, 24).some((byte) => byte !== 0)) {
    fail({ reason: "nonce-not-zero" }, "it has a nonce though it is not encrypted");
  }
  const id = objectIdAt(bytes, 24);
  if (id !== expected.id) {
    fail({ reason: "wrong-id", expected: expected.id, found: id }, `it says that it is ${id}`);
  }
  const packed = (flags & flagZstd) !== 0;
  const longest = overhead + plainBytes;
  if (packed ? bytes.length > longest : bytes.length !== longest) {
    const defect = { reason: "length-mismatch", expected: longest, found: bytes.length } as const;
    fail(defect, `it has ${bytes.length} bytes, where its header makes ${packed ? "at most " : ""}${longest}`);
  }
  return { epoch, packed, plainBytes };
}

function unseal(
  keys: VaultKeys,
  object: string,
  id: ObjectId,
  epoch: number,
  stored: Uint8Array,
  body: Uint8Array,
): Uint8Array {
  const key = keysOfEpoch(keys, epoch);
  if (key === undefined)
    throw corrupt({ object, reason: "unknown-epoch", found: epoch }, `key epoch ${epoch} is unknown`);
  const decipher = createDecipheriv("aes-256-gcm", objectKey(key.content, id), stored.subarray(12, 24), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(stored.subarray(0, headerBytes));
  decipher.setAuthTag(stored.subarray(stored.length - tagBytes));
  const payload = decipher.update(body);
  try {
    decipher.final();
  } catch (cause) {
    throw corrupt({ object, reason: "tag-mismatch" }, "its seal does not fit its bytes", cause);
  }
  return payload;
}

async function unpack(object: string, payload: Uint8Array, plainBytes: number): Promise<Uint8Array> {
  try {
    return await decompress(payload, {
      maxOutputLength: plainBytes,
      // One byte more than there may be: a buffer that is full makes zlib take another of this size, to see whether more comes.
      chunkSize: Math.max(1024, plainBytes + 1),
      params: { [constants.ZSTD_d_windowLogMax]: zstdMaxWindowLog },
    });
  } catch (cause) {
    const tooLong = (cause as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
    const what = tooLong
      ? `it unpacks to more than the ${plainBytes} bytes that its header says`
      : "it does not unpack";
    throw corrupt({ object, reason: "bad-compression", expected: plainBytes }, what, cause);
  }
}

/** The key of one object: `HMAC-SHA-256(contentKey, id)`. */
function objectKey(content: Parameters<typeof createHmac>[1], id: ObjectId): Buffer {
  return createHmac("sha256", content).update(objectIdBytes(id)).digest();
}
