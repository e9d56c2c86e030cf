/** One connection from its first byte to its end. */
import type { Socket } from "node:net";
import { errorRecord } from "../../core/errors.ts";
import type { Offer } from "../../core/nbd/negotiate.ts";
import type { BlockDevice } from "../../ports/block-device.ts";
import type { Clock } from "../../ports/clock.ts";
import type { EventLog } from "../../ports/event-log.ts";
import type { NbdLimits } from "./nbd-limits.ts";
import type { NbdTls } from "./secure-socket.ts";
import { shakeHands } from "./shake-hands.ts";
import { transmit } from "./transmit.ts";
import { Wire } from "./wire.ts";

export interface ConnectionContext {
  readonly offer: Offer;
  readonly devices: ReadonlyMap<string, BlockDevice>;
  readonly tls: NbdTls | undefined;
  readonly limits: NbdLimits;
  readonly clock: Clock;
  readonly log: EventLog;
  /** Aborted when the server stops. */
  readonly signal: AbortSignal;
}

/** Fulfilled when the socket is closed and nothing is under way for it. Never rejects. */
export async function serveConnection(socket: Socket, connection: number, context: ConnectionContext): Promise<void> {
  const { log, signal } = context;
  const gone = new AbortController();
  let wire = new Wire(socket);
  // The first socket closes with the one of TLS above it.
  const closed = wire.closed.then(() => gone.abort());
  const onStop = (): void => wire.stopReading();
  signal.addEventListener("abort", onStop, { once: true });
  try {
    const why = await serve(wire, connection, context, gone.signal, (next) => {
      wire = next;
      if (signal.aborted) wire.stopReading();
    });
    log.log("debug", "nbd-connection-ended", { connection, why });
  } catch (error) {
    // A defect: no client should be able to bring it about, and the others go on.
    log.log("error", "nbd-connection-failed", { connection, error: errorRecord(error).message });
    socket.destroy();
  } finally {
    signal.removeEventListener("abort", onStop);
  }
  await closed;
}

async function serve(
  first: Wire,
  connection: number,
  context: ConnectionContext,
  gone: AbortSignal,
  onWire: (wire: Wire) => void,
): Promise<string> {
  const { limits, clock, log } = context;
  const settled = new AbortController();
  const late = dropLate(first, clock.sleep(limits.handshakeMs, AbortSignal.any([settled.signal, gone])));
  const result = await shakeHands(first, context, onWire);
  settled.abort();
  if (result.kind === "ended") {
    result.wire.end();
    return (await late) ? "its handshake took too long" : result.why;
  }
  const { wire, session } = result;
  const device = context.devices.get(session.exportName);
  if (device === undefined) throw new Error(`There is no device for the export ${session.exportName}.`);
  log.log("info", "nbd-connection-opened", { connection, export: session.exportName });
  return transmit({
    wire,
    session,
    device,
    limits,
    signal: AbortSignal.any([context.signal, gone]),
    onFailure: ({ offset, length }, error) =>
      log.log("error", "nbd-read-failed", {
        connection,
        export: session.exportName,
        offset,
        length,
        error: errorRecord(error).message,
      }),
  });
}

/** True where the time was over before the handshake; the connection is closed then. */
async function dropLate(wire: Wire, time: Promise<void>): Promise<boolean> {
  try {
    await time;
  } catch {
    // It was settled, or the client left.
    return false;
  }
  wire.destroy();
  return true;
}
