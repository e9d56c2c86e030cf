/** Replies of the transmission phase. The data of a read follows its head; it is not copied into one. */
import { cutText } from "./cut-text.ts";
import { encodeFields, u16, u32, u64, type Field } from "./encode-fields.ts";
import type { NbdErrorNumber } from "./protocol.ts";
import {
  allocationContextId,
  blockState,
  chunkType,
  longestStringBytes,
  replyFlag,
  simpleReplyMagic,
  structuredReplyMagic,
} from "./protocol.ts";

/** `error` 0: it went well, and where the request was a read its data follows. */
export function encodeSimpleReply(cookie: bigint, error: NbdErrorNumber | 0): Uint8Array<ArrayBuffer> {
  return encodeFields(u32(simpleReplyMagic), u32(error), u64(cookie));
}

/** The head of a chunk of `length` bytes of data, which follow; not 0. */
export function encodeDataHead(cookie: bigint, offset: number, length: number, done: boolean): Uint8Array<ArrayBuffer> {
  const head = chunkHead(cookie, chunkType.offsetData, 8 + length, done);
  return encodeFields(...head, u64(offset));
}

/** `length` zeros that are not sent; not 0. */
export function encodeHole(cookie: bigint, offset: number, length: number, done: boolean): Uint8Array<ArrayBuffer> {
  return encodeFields(...chunkHead(cookie, chunkType.offsetHole, 12, done), u64(offset), u32(length));
}

/** Ends a reply of several chunks, or says that a request without data went well. */
export function encodeDone(cookie: bigint): Uint8Array<ArrayBuffer> {
  return encodeFields(...chunkHead(cookie, chunkType.none, 0, true));
}

/** Ends a reply that failed. */
export function encodeErrorChunk(cookie: bigint, error: NbdErrorNumber, message: string): Uint8Array<ArrayBuffer> {
  const text = cutText(message, longestStringBytes);
  const head = chunkHead(cookie, chunkType.error, 6 + text.length, true);
  return encodeFields(...head, u32(error), u16(text.length), text);
}

/** `length` not 0, and below 2^32. */
export interface StatusExtent {
  readonly kind: "zero" | "data";
  readonly length: number;
}

/** The whole reply to a request for block status; at least one extent. */
export function encodeStatus(cookie: bigint, extents: readonly StatusExtent[]): Uint8Array<ArrayBuffer> {
  const head = chunkHead(cookie, chunkType.blockStatus, 4 + 8 * extents.length, true);
  const states = extents.flatMap(({ kind, length }) => [
    u32(length),
    u32(kind === "zero" ? blockState.hole | blockState.zero : 0),
  ]);
  return encodeFields(...head, u32(allocationContextId), ...states);
}

function chunkHead(cookie: bigint, type: number, length: number, done: boolean): readonly Field[] {
  return [u32(structuredReplyMagic), u16(done ? replyFlag.done : 0), u16(type), u64(cookie), u32(length)];
}
