/**
 * The negotiation of a session, as a pure step: what was agreed so far and one option give the replies and what comes next.
 *
 * 1. With TLS configured the server is in the mode that the protocol calls FORCEDTLS: before TLS only STARTTLS and ABORT are
 *    answered, so that nobody without a certificate learns even the names.
 * 2. Nothing agreed before TLS counts after it.
 * 3. A metadata context belongs to the export that it was chosen for: entering another drops it.
 */
import type { ClientFlags } from "./handshake.ts";
import { encodeExportNameReply } from "./handshake.ts";
import { parseContextOption, parseInfoOption } from "./option-data.ts";
import {
  encodeAck,
  encodeBlockSizeInfo,
  encodeDescriptionInfo,
  encodeExportInfo,
  encodeListed,
  encodeMetaContext,
  encodeNameInfo,
  encodeOptionError,
} from "./option-replies.ts";
import {
  allocationContext,
  allocationContextId,
  infoType,
  option,
  optionError,
  transmissionFlags,
} from "./protocol.ts";

export interface ExportFacts {
  readonly name: string;
  /** For people, at most 4096 bytes of it are sent. */
  readonly description: string;
  readonly sizeBytes: number;
}

export interface Offer {
  readonly exports: readonly ExportFacts[];
  /** What the empty name stands for. */
  readonly defaultExport?: string;
  /** TLS is configured: nothing is said without it. */
  readonly tls: boolean;
}

export interface Negotiation extends ClientFlags {
  readonly secured: boolean;
  readonly structured: boolean;
  /** The export that `base:allocation` was chosen for. */
  readonly contextOf: string | undefined;
}

/** What was agreed for the transmission. */
export interface Session {
  readonly exportName: string;
  readonly structured: boolean;
  /** Whether block status may be asked for. */
  readonly status: boolean;
}

export type OptionAnswer =
  | { readonly kind: "continue"; readonly replies: readonly Uint8Array[]; readonly negotiation: Negotiation }
  | { readonly kind: "start-tls"; readonly replies: readonly Uint8Array[] }
  | { readonly kind: "transmit"; readonly replies: readonly Uint8Array[]; readonly session: Session }
  | { readonly kind: "end"; readonly replies: readonly Uint8Array[]; readonly why: string };

export function beginNegotiation(flags: ClientFlags, secured: boolean): Negotiation {
  return { ...flags, secured, structured: false, contextOf: undefined };
}

export function answerOption(offer: Offer, negotiation: Negotiation, code: number, data: Uint8Array): OptionAnswer {
  const refuse = (error: number, message: string, next = negotiation): OptionAnswer => ({
    kind: "continue",
    replies: [encodeOptionError(code, error, message)],
    negotiation: next,
  });
  if (!negotiation.fixedNewstyle && code !== option.exportName) {
    return { kind: "end", replies: [], why: "it sent an option without the fixed newstyle handshake" };
  }
  if (code === option.abort) return { kind: "end", replies: [encodeAck(code)], why: "it aborted the handshake" };
  if (offer.tls && !negotiation.secured && code !== option.startTls) {
    if (code === option.exportName) return { kind: "end", replies: [], why: "it asked for an export without TLS" };
    return refuse(optionError.tlsRequired, "This server speaks over TLS only: connect with a client certificate.");
  }
  switch (code) {
    case option.exportName:
      return enterByName(offer, negotiation, data);
    case option.list:
      if (data.length > 0) return refuse(optionError.invalid, "NBD_OPT_LIST has no data.");
      return goOn(negotiation, [
        ...offer.exports.map(({ name, description }) => encodeListed(code, name, description)),
        encodeAck(code),
      ]);
    case option.startTls:
      if (!offer.tls) return refuse(optionError.policy, "This server was started without TLS.");
      if (negotiation.secured) return refuse(optionError.invalid, "TLS is in use already.");
      if (data.length > 0) return refuse(optionError.invalid, "NBD_OPT_STARTTLS has no data.");
      return { kind: "start-tls", replies: [encodeAck(code)] };
    case option.info:
    case option.go:
      return describe(offer, negotiation, code, data, refuse);
    case option.structuredReply:
      if (data.length > 0) return refuse(optionError.invalid, "NBD_OPT_STRUCTURED_REPLY has no data.");
      return goOn({ ...negotiation, structured: true }, [encodeAck(code)]);
    case option.listMetaContext:
    case option.setMetaContext:
      return answerContexts(offer, negotiation, code, data, refuse);
    default:
      return refuse(optionError.unsupported, `The option ${code} is not supported.`);
  }
}

/** Of a read-only export that all connections see alike. */
export function exportFlags(structured: boolean): number {
  const { hasFlags, readOnly, sendFlush, sendDf, canMultiConn, sendCache } = transmissionFlags;
  return hasFlags | readOnly | sendFlush | canMultiConn | sendCache | (structured ? sendDf : 0);
}

type Refuse = (error: number, message: string, next?: Negotiation) => OptionAnswer;

function goOn(negotiation: Negotiation, replies: readonly Uint8Array[]): OptionAnswer {
  return { kind: "continue", replies, negotiation };
}

/** The old way, which knows no errors: who asks for what is not there is dropped. */
function enterByName(offer: Offer, negotiation: Negotiation, data: Uint8Array): OptionAnswer {
  const found = findExport(offer, new TextDecoder().decode(data));
  if (found === undefined) return { kind: "end", replies: [], why: "it asked for an export that is not there" };
  const flags = exportFlags(negotiation.structured);
  return {
    kind: "transmit",
    replies: [encodeExportNameReply(found.sizeBytes, flags, negotiation.noZeroes)],
    session: sessionOf(negotiation, found.name),
  };
}

function describe(
  offer: Offer,
  negotiation: Negotiation,
  code: number,
  data: Uint8Array,
  refuse: Refuse,
): OptionAnswer {
  const asked = parseInfoOption(data);
  if (asked === undefined) return refuse(optionError.invalid, "The request for an export cannot be read.");
  const found = findExport(offer, asked.exportName);
  if (found === undefined) return refuse(optionError.unknown, "There is no export of this name.");
  const wants = new Set(asked.wanted);
  const replies = [encodeExportInfo(code, found.sizeBytes, exportFlags(negotiation.structured))];
  if (wants.has(infoType.name)) replies.push(encodeNameInfo(code, found.name));
  if (wants.has(infoType.description)) replies.push(encodeDescriptionInfo(code, found.description));
  if (wants.has(infoType.blockSize)) replies.push(encodeBlockSizeInfo(code));
  replies.push(encodeAck(code));
  if (code === option.info) return goOn(negotiation, replies);
  return { kind: "transmit", replies, session: sessionOf(negotiation, found.name) };
}

function answerContexts(
  offer: Offer,
  negotiation: Negotiation,
  code: number,
  data: Uint8Array,
  refuse: Refuse,
): OptionAnswer {
  const sets = code === option.setMetaContext;
  // What was chosen before is dropped even where this fails.
  const without = sets ? { ...negotiation, contextOf: undefined } : negotiation;
  const asked = parseContextOption(data);
  if (asked === undefined) return refuse(optionError.invalid, "The request for contexts cannot be read.", without);
  if (sets && !negotiation.structured) {
    return refuse(optionError.invalid, "Metadata contexts need structured replies.", without);
  }
  const found = findExport(offer, asked.exportName);
  if (found === undefined) return refuse(optionError.unknown, "There is no export of this name.", without);
  const { queries } = asked;
  const named = queries.includes(allocationContext);
  const matched = sets ? named : named || queries.length === 0 || queries.includes("base:");
  if (!matched) return goOn(without, [encodeAck(code)]);
  const replies = [encodeMetaContext(code, sets ? allocationContextId : 0), encodeAck(code)];
  return goOn(sets ? { ...negotiation, contextOf: found.name } : negotiation, replies);
}

function sessionOf({ structured, contextOf }: Negotiation, exportName: string): Session {
  return { exportName, structured, status: structured && contextOf === exportName };
}

function findExport(offer: Offer, asked: string): ExportFacts | undefined {
  const name = asked === "" ? offer.defaultExport : asked;
  return name === undefined ? undefined : offer.exports.find((one) => one.name === name);
}
