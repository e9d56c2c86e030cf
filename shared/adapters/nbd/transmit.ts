/**
 * The transmission phase of one connection: requests are read one after another, worked on at once, and answered as they are done.
 * Requests beyond the limits are not read, so the client waits.
 */
import { errorRecord } from "../../core/errors.ts";
import type { Session } from "../../core/nbd/negotiate.ts";
import { maximumPayloadBytes, nbdError, type NbdErrorNumber } from "../../core/nbd/protocol.ts";
import { encodeDone, encodeErrorChunk, encodeSimpleReply, encodeStatus } from "../../core/nbd/replies.ts";
import {
  judgeRequest,
  parseRequest,
  payloadBytes,
  requestBytes,
  type Request,
  type Work,
} from "../../core/nbd/request.ts";
import type { BlockDevice } from "../../ports/block-device.ts";
import { blockStatus } from "./block-status.ts";
import { Budget } from "./budget.ts";
import type { NbdLimits } from "./nbd-limits.ts";
import { type ReadJob, fillCache, sendChunks, sendSimple, sendWhole } from "./send-read.ts";
import type { Wire } from "./wire.ts";

export interface Transmission {
  readonly wire: Wire;
  readonly session: Session;
  readonly device: BlockDevice;
  readonly limits: NbdLimits;
  /** Aborted when the client is gone or the server stops. */
  readonly signal: AbortSignal;
  /** A read that failed, and why. */
  readonly onFailure: (request: Request, error: unknown) => void;
}

/** Fulfilled when nothing is under way any more, with why it ended: a clause whose subject is the client. */
export async function transmit(transmission: Transmission): Promise<string> {
  const { wire, limits } = transmission;
  const slots = new Budget(limits.connectionRequests);
  const budget = new Budget(limits.connectionBytes);
  const why = await serveRequests(transmission, slots, budget);
  // Of the requests that are under way each holds a slot.
  await slots.take(limits.connectionRequests);
  wire.end();
  return why;
}

async function serveRequests(transmission: Transmission, slots: Budget, budget: Budget): Promise<string> {
  const { wire, session, device, limits, signal } = transmission;
  const bounds = { sizeBytes: device.sizeBytes, wholeBytes: limits.connectionBytes };
  for (;;) {
    await slots.take(1);
    const bytes = await wire.read(requestBytes);
    const request = bytes === undefined ? undefined : parseRequest(bytes);
    const payload = request === undefined ? 0 : payloadBytes(request);
    const whole = payload <= maximumPayloadBytes && (await wire.skip(payload));
    if (request === undefined || !whole) {
      slots.give(1);
      if (signal.aborted) return "the server stopped";
      if (bytes === undefined) return "it left without saying so";
      return request === undefined ? "it sent what is no request" : `it sent a write of ${payload} bytes`;
    }
    const work = judgeRequest(request, session, bounds);
    if (work.kind === "disconnect") {
      slots.give(1);
      return "it said goodbye";
    }
    void answer(transmission, budget, request, work).finally(() => slots.give(1));
  }
}

/** Never rejects: whatever goes wrong is the client's reply, or the end of the connection. */
async function answer(transmission: Transmission, budget: Budget, request: Request, work: Work): Promise<void> {
  const { wire, session, signal, onFailure } = transmission;
  // Each reply holds some of the budget, see sendSimple.
  const fail = (error: NbdErrorNumber, message: string): Promise<void> =>
    budget.using(1, () => wire.write(failure(session, request.cookie, error, message)));
  try {
    if (work.kind === "refuse") await fail(work.error, work.message);
    else await carryOut(transmission, budget, request, work);
  } catch (error) {
    if (signal.aborted) {
      await fail(nbdError.shutdown, "The server stops.");
      return;
    }
    onFailure(request, error);
    await fail(nbdError.io, errorRecord(error).message);
  }
}

async function carryOut(
  transmission: Transmission,
  budget: Budget,
  { cookie }: Request,
  work: Exclude<Work, { kind: "refuse" }>,
): Promise<void> {
  const { wire, session, device, signal } = transmission;
  const done = (): Promise<void> =>
    budget.using(1, () => wire.write(session.structured ? encodeDone(cookie) : encodeSimpleReply(cookie, 0)));
  switch (work.kind) {
    case "read": {
      const job = jobOf(transmission, budget, cookie, work);
      if (!session.structured) {
        if (!(await sendSimple(job))) wire.destroy();
      } else if (work.whole) await sendWhole(job);
      else await sendChunks(job);
      return;
    }
    case "status": {
      const extents = await blockStatus(device, work, signal);
      const reply = encodeStatus(cookie, extents);
      await budget.using(Math.min(reply.length, budget.size), () => wire.write(reply));
      return;
    }
    case "cache":
      // A hint: more would drive out of the cache what it has just brought in.
      await fillCache(
        jobOf(transmission, budget, cookie, { ...work, length: Math.min(work.length, maximumPayloadBytes) }),
      );
      await done();
      return;
    case "flush":
      await done();
      return;
    case "disconnect":
      return;
    default:
      work satisfies never;
  }
}

function jobOf(
  { wire, device, signal }: Transmission,
  budget: Budget,
  cookie: bigint,
  { offset, length }: { readonly offset: number; readonly length: number },
): ReadJob {
  return { wire, device, budget, cookie, offset, length, signal };
}

function failure(session: Session, cookie: bigint, error: NbdErrorNumber, message: string): Uint8Array {
  return session.structured ? encodeErrorChunk(cookie, error, message) : encodeSimpleReply(cookie, error);
}
