/** Replies to options, each with its head: magic, the option, the type of the reply, the length of its data. */
import type { Field } from "./encode-fields.ts";
import { encodeFields, u16, u32, u64 } from "./encode-fields.ts";
import { cutText } from "./cut-text.ts";
import {
  allocationContext,
  infoType,
  longestStringBytes,
  maximumPayloadBytes,
  optionReply,
  optionReplyMagic,
} from "./protocol.ts";

/** Every byte may be asked for. */
const minimumBlockBytes = 1;
/** A chunk of the vault, unless it was made with another size: what one fetch brings anyway. */
export const preferredBlockBytes = 1024 * 1024;

export function encodeAck(option: number): Uint8Array<ArrayBuffer> {
  return encodeReply(option, optionReply.ack);
}

/** `error`: one of `optionError`; the message is for people. */
export function encodeOptionError(option: number, error: number, message: string): Uint8Array<ArrayBuffer> {
  return encodeReply(option, error, cutText(message, longestStringBytes));
}

export function encodeListed(option: number, name: string, description: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(name);
  return encodeReply(option, optionReply.server, u32(bytes.length), bytes, cutText(description, longestStringBytes));
}

export function encodeExportInfo(option: number, sizeBytes: number, flags: number): Uint8Array<ArrayBuffer> {
  return encodeReply(option, optionReply.info, u16(infoType.export), u64(sizeBytes), u16(flags));
}

export function encodeNameInfo(option: number, name: string): Uint8Array<ArrayBuffer> {
  return encodeReply(option, optionReply.info, u16(infoType.name), name);
}

export function encodeDescriptionInfo(option: number, description: string): Uint8Array<ArrayBuffer> {
  return encodeReply(option, optionReply.info, u16(infoType.description), cutText(description, longestStringBytes));
}

export function encodeBlockSizeInfo(option: number): Uint8Array<ArrayBuffer> {
  const sizes = [minimumBlockBytes, preferredBlockBytes, maximumPayloadBytes].map(u32);
  return encodeReply(option, optionReply.info, u16(infoType.blockSize), ...sizes);
}

/** `id`: 0 where the context is only listed. */
export function encodeMetaContext(option: number, id: number): Uint8Array<ArrayBuffer> {
  return encodeReply(option, optionReply.metaContext, u32(id), allocationContext);
}

function encodeReply(option: number, type: number, ...data: readonly Field[]): Uint8Array<ArrayBuffer> {
  const body = encodeFields(...data);
  return encodeFields(u64(optionReplyMagic), u32(option), u32(type), u32(body.length), body);
}
