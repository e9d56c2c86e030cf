/** The NBD server with this process's clock. */
import type { NbdServer, NbdServerOptions } from "../adapters/nbd/nbd-server.ts";
import { startNbdServer } from "../adapters/nbd/nbd-server.ts";
import type { NbdTls } from "../adapters/nbd/secure-socket.ts";
import { systemClock } from "./system.ts";

export type { NbdServer, NbdTls };

/** See `startNbdServer`. */
export function serveNbd(options: Omit<NbdServerOptions, "clock">, signal: AbortSignal): Promise<NbdServer> {
  return startNbdServer({ ...options, clock: systemClock() }, signal);
}
