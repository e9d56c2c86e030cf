/** A request of the transmission phase, and what a read-only server is to do with it. */
import { FieldReader } from "./field-reader.ts";
import type { Session } from "./negotiate.ts";
import type { NbdErrorNumber } from "./protocol.ts";
import { command, commandFlag, maximumPayloadBytes, nbdError, requestMagic } from "./protocol.ts";

export const requestBytes = 28;

export interface Request {
  readonly flags: number;
  readonly type: number;
  /** Comes back with each reply. */
  readonly cookie: bigint;
  /** Beyond 2^53 not exact; no export reaches there. */
  readonly offset: number;
  readonly length: number;
}

/** Undefined where it does not begin with its magic: what follows cannot be understood either. */
export function parseRequest(bytes: Uint8Array): Request | undefined {
  const reader = new FieldReader(bytes);
  if (reader.u32() !== requestMagic) return undefined;
  const [flags, type, cookie] = [reader.u16(), reader.u16(), reader.u64()];
  const [offset, length] = [reader.u64(), reader.u32()];
  if (flags === undefined || type === undefined || cookie === undefined) return undefined;
  if (offset === undefined || length === undefined) return undefined;
  return { flags, type, cookie, offset: Number(offset), length };
}

/** Bytes that follow the request, whatever becomes of it. */
export function payloadBytes(request: Request): number {
  return request.type === command.write ? request.length : 0;
}

export type Work =
  /** `whole`: in one chunk. */
  | { readonly kind: "read"; readonly offset: number; readonly length: number; readonly whole: boolean }
  /** `one`: only the first extent. */
  | { readonly kind: "status"; readonly offset: number; readonly length: number; readonly one: boolean }
  | { readonly kind: "cache"; readonly offset: number; readonly length: number }
  /** Nothing is ever written: it is done. */
  | { readonly kind: "flush" }
  | { readonly kind: "disconnect" }
  | { readonly kind: "refuse"; readonly error: NbdErrorNumber; readonly message: string };

export interface RequestBounds {
  readonly sizeBytes: number;
  /** The longest chunk that is sent in one piece where a client asks for that; at least 64 KiB by the protocol. */
  readonly wholeBytes: number;
}

export function judgeRequest(request: Request, session: Session, bounds: RequestBounds): Work {
  const { type, flags, offset, length } = request;
  switch (type) {
    case command.disconnect:
      return { kind: "disconnect" };
    case command.write:
    case command.trim:
    case command.writeZeroes:
      return refuse(nbdError.permission, "The export is read-only.");
    case command.flush:
      return flags === 0 ? { kind: "flush" } : refuse(nbdError.invalid, "Flush has no flags.");
    case command.read: {
      const whole = session.structured && (flags & commandFlag.df) !== 0;
      if (flags !== (whole ? commandFlag.df : 0)) return refuse(nbdError.invalid, "The flags do not fit a read.");
      if (whole && length > bounds.wholeBytes) return refuse(nbdError.overflow, "The read is too long for one chunk.");
      return withinExport(request, bounds) ?? tooLong(request) ?? { kind: "read", offset, length, whole };
    }
    case command.blockStatus: {
      if (!session.status) return refuse(nbdError.invalid, "No metadata context was chosen for this export.");
      const one = flags === commandFlag.reqOne;
      if (flags !== 0 && !one) return refuse(nbdError.invalid, "The flags do not fit block status.");
      return withinExport(request, bounds) ?? { kind: "status", offset, length, one };
    }
    case command.cache:
      if (flags !== 0) return refuse(nbdError.invalid, "The flags do not fit cache.");
      return withinExport(request, bounds) ?? { kind: "cache", offset, length };
    default:
      return refuse(nbdError.invalid, `The command ${type} is not known.`);
  }
}

function withinExport({ offset, length }: Request, { sizeBytes }: RequestBounds): Work | undefined {
  if (length === 0) return refuse(nbdError.invalid, "A length of 0 asks for nothing.");
  if (offset + length <= sizeBytes) return undefined;
  return refuse(nbdError.invalid, `The range ends beyond the export's ${sizeBytes} bytes.`);
}

function tooLong({ length }: Request): Work | undefined {
  if (length <= maximumPayloadBytes) return undefined;
  return refuse(nbdError.overflow, `A read has at most ${maximumPayloadBytes} bytes.`);
}

function refuse(error: NbdErrorNumber, message: string): Work {
  return { kind: "refuse", error, message };
}
