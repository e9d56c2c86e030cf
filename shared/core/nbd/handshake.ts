/** How a session begins: the greeting, the client's flags, the head of each option, and the old way into the transmission. */
import { encodeFields, u16, u64 } from "./encode-fields.ts";
import { FieldReader } from "./field-reader.ts";
import { greetingMagic, handshakeFlags, optionMagic } from "./protocol.ts";

/** The first bytes of a session, by the server. */
export function encodeGreeting(): Uint8Array<ArrayBuffer> {
  return encodeFields(
    u64(greetingMagic),
    u64(optionMagic),
    u16(handshakeFlags.fixedNewstyle | handshakeFlags.noZeroes),
  );
}

export const clientFlagsBytes = 4;

export interface ClientFlags {
  readonly fixedNewstyle: boolean;
  readonly noZeroes: boolean;
}

/** Undefined where a flag is set that the greeting did not offer: such a client must be dropped. */
export function parseClientFlags(bytes: Uint8Array): ClientFlags | undefined {
  const flags = new FieldReader(bytes).u32();
  if (flags === undefined || flags > (handshakeFlags.fixedNewstyle | handshakeFlags.noZeroes)) return undefined;
  return {
    fixedNewstyle: (flags & handshakeFlags.fixedNewstyle) !== 0,
    noZeroes: (flags & handshakeFlags.noZeroes) !== 0,
  };
}

export const optionHeadBytes = 16;

/**
 * The longest data of an option that is taken. The longest that a client needs is a name and a few queries, of 4096 bytes each at
 * most; the length field would allow 4 GiB.
 */
export const longestOptionBytes = 64 * 1024;

export interface OptionHead {
  readonly code: number;
  /** Of the data that follows. */
  readonly length: number;
}

/** Undefined where it does not begin with its magic: whoever sent it speaks something else. */
export function parseOptionHead(bytes: Uint8Array): OptionHead | undefined {
  const reader = new FieldReader(bytes);
  const [magic, code, length] = [reader.u64(), reader.u32(), reader.u32()];
  return magic === optionMagic && code !== undefined && length !== undefined ? { code, length } : undefined;
}

/** The reply to NBD_OPT_EXPORT_NAME, which has no head. */
export function encodeExportNameReply(sizeBytes: number, flags: number, noZeroes: boolean): Uint8Array<ArrayBuffer> {
  return encodeFields(u64(sizeBytes), u16(flags), new Uint8Array(noZeroes ? 0 : 124));
}
