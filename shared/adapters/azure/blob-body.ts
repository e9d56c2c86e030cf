/**
 * The body of a blob, whole or not at all. Where it breaks off it is gone on with from there, twice: the SDK does so only for a
 * body that ends early, and takes a connection that breaks in the middle for an abort by the caller.
 */
import { storageFault } from "./storage-errors.ts";

const bodyBreaks = 2;

interface Answer {
  readonly readableStreamBody?: NodeJS.ReadableStream;
  /** `bytes FROM-TO/ALL` */
  readonly contentRange?: string;
}

export interface BodyRequest {
  /** Of the blob. */
  readonly fromByte: number;
  readonly lengthBytes: number;
  /** An answer that has come already, from `fromByte` on. */
  readonly first?: Answer;
  /** Asks for the blob from this byte on to the end of what is wanted. */
  readonly ask: (fromByte: number) => Promise<Answer>;
}

/** Throws what broke it the third time, what the service answered, or that the caller gave up. */
export async function wholeBody(
  { fromByte, lengthBytes, first, ask }: BodyRequest,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  // Not filled with zeros first: all of it is written, or none of it given.
  const content = new Uint8Array(Buffer.allocUnsafeSlow(lengthBytes).buffer);
  let got = 0;
  let answer = first;
  for (let breaks = 0; got < lengthBytes;) {
    try {
      answer ??= await askFrom(fromByte + got, ask);
      for await (const piece of (answer.readableStreamBody ?? []) as AsyncIterable<Buffer>) {
        if (got + piece.length > lengthBytes) throw new BrokenBody("The body has more bytes than it said.");
        content.set(piece, got);
        got += piece.length;
      }
      if (got < lengthBytes) throw new BrokenBody("The body ended early.");
    } catch (error) {
      if (signal.aborted || storageFault(error) !== undefined || breaks === bodyBreaks) throw error;
      breaks++;
      answer = undefined;
    }
  }
  return content;
}

/** A service that does not know ranges gives all of it again, which is not what was asked for. */
async function askFrom(fromByte: number, ask: BodyRequest["ask"]): Promise<Answer> {
  const answer = await ask(fromByte);
  if (answer.contentRange?.startsWith(`bytes ${fromByte}-`) === true) return answer;
  (answer.readableStreamBody as { destroy?: () => void } | undefined)?.destroy?.();
  throw new BrokenBody("The answer is not the range that was asked for.");
}

/** With a code like that of the system's own errors, by which it counts as one of the network. */
class BrokenBody extends Error {
  readonly code = "ERR_STREAM_PREMATURE_CLOSE";
}
