/** The handshake of one connection, up to the transmission. */
import type { OptionAnswer, Offer, Negotiation, Session } from "../../core/nbd/negotiate.ts";
import { answerOption, beginNegotiation } from "../../core/nbd/negotiate.ts";
import type { ClientFlags } from "../../core/nbd/handshake.ts";
import {
  clientFlagsBytes,
  encodeGreeting,
  longestOptionBytes,
  optionHeadBytes,
  parseClientFlags,
  parseOptionHead,
} from "../../core/nbd/handshake.ts";
import type { NbdLimits } from "./nbd-limits.ts";
import type { NbdTls } from "./secure-socket.ts";
import { secureSocket } from "./secure-socket.ts";
import { Wire } from "./wire.ts";

export interface HandshakeOptions {
  readonly offer: Offer;
  readonly tls: NbdTls | undefined;
  readonly limits: NbdLimits;
}

export type HandshakeResult =
  | { readonly kind: "transmit"; readonly wire: Wire; readonly session: Session }
  /** `why` is a clause whose subject is the client. */
  | { readonly kind: "ended"; readonly wire: Wire; readonly why: string };

/** `onWire` is told of the wire that takes the place of the first one. */
export async function shakeHands(
  wire: Wire,
  options: HandshakeOptions,
  onWire: (wire: Wire) => void,
): Promise<HandshakeResult> {
  await wire.write(encodeGreeting());
  const bytes = await wire.read(clientFlagsBytes);
  if (bytes === undefined) return { kind: "ended", wire, why: "it left before the handshake" };
  const flags = parseClientFlags(bytes);
  if (flags === undefined) return { kind: "ended", wire, why: "it set flags that are not known" };
  return negotiate(wire, options, beginNegotiation(flags, false), onWire);
}

async function negotiate(
  wire: Wire,
  options: HandshakeOptions,
  begun: Negotiation,
  onWire: (wire: Wire) => void,
): Promise<HandshakeResult> {
  let negotiation = begun;
  for (let count = 0; count < options.limits.handshakeOptions; count++) {
    const asked = await readOption(wire);
    if ("why" in asked) return { kind: "ended", wire, why: asked.why };
    const answer: OptionAnswer = answerOption(options.offer, negotiation, asked.code, asked.data);
    switch (answer.kind) {
      case "continue":
        await wire.write(...answer.replies);
        negotiation = answer.negotiation;
        break;
      case "start-tls":
        return startTls(wire, options, negotiation, answer.replies, onWire);
      case "transmit":
        await wire.write(...answer.replies);
        return { kind: "transmit", wire, session: answer.session };
      case "end":
        if (answer.replies.length > 0) await wire.write(...answer.replies);
        return { kind: "ended", wire, why: answer.why };
      default:
        answer satisfies never;
    }
  }
  return { kind: "ended", wire, why: "it sent too many options" };
}

async function readOption(
  wire: Wire,
): Promise<{ readonly code: number; readonly data: Uint8Array } | { readonly why: string }> {
  const bytes = await wire.read(optionHeadBytes);
  if (bytes === undefined) return { why: "it left during the handshake" };
  const head = parseOptionHead(bytes);
  if (head === undefined) return { why: "it sent what is no option" };
  if (head.length > longestOptionBytes) return { why: `it sent an option of ${head.length} bytes` };
  const data = await wire.read(head.length);
  return data === undefined ? { why: "it left during the handshake" } : { code: head.code, data };
}

async function startTls(
  wire: Wire,
  options: HandshakeOptions,
  { fixedNewstyle, noZeroes }: ClientFlags,
  replies: readonly Uint8Array[],
  onWire: (wire: Wire) => void,
): Promise<HandshakeResult> {
  // Sent ahead in the clear, it would be taken for something said over TLS.
  if (options.tls === undefined || wire.hasUnread) return { kind: "ended", wire, why: "it did not wait for TLS" };
  void wire.write(...replies);
  const socket = await secureSocket(wire.release(), options.tls, options.limits.handshakeMs);
  if (socket === undefined) return { kind: "ended", wire, why: "its TLS handshake failed (client certificate?)" };
  const secured = new Wire(socket);
  onWire(secured);
  return negotiate(secured, options, beginNegotiation({ fixedNewstyle, noZeroes }, true), onWire);
}
