/**
 * A read-only NBD server (doc/proto.md of NetworkBlockDevice/nbd): fixed newstyle handshake, structured replies, block status, many
 * connections to one export.
 *
 * 1. Nothing is ever written: not to a device, and for the clients it is read-only.
 * 2. Clients are hostile: what one sends is bounded before it is believed, and ends at most its own connection.
 * 3. Memory is bounded by the limits, whatever clients ask for and however slowly they read.
 * 4. Only this machine can connect without TLS; from elsewhere only who shows a certificate.
 */
import { createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { FarsideError } from "../../core/errors.ts";
import { refuseOpenAddress, type ListenAddress } from "../../core/nbd/listen-address.ts";
import type { Offer } from "../../core/nbd/negotiate.ts";
import type { BlockDevice } from "../../ports/block-device.ts";
import type { Clock } from "../../ports/clock.ts";
import type { EventLog } from "../../ports/event-log.ts";
import { defaultNbdLimits, type NbdLimits } from "./nbd-limits.ts";
import { checkTls, type NbdTls } from "./secure-socket.ts";
import { serveConnection } from "./serve-connection.ts";
import { listenOnSocket } from "./unix-socket.ts";

export interface NbdExport {
  readonly name: string;
  /** For people; clients show it in lists. */
  readonly description: string;
  readonly device: BlockDevice;
}

export interface NbdServerOptions {
  readonly exports: readonly NbdExport[];
  /** The export that the empty name stands for. */
  readonly defaultExport?: string;
  readonly listen: ListenAddress;
  /** Given, nobody is served without it. */
  readonly tls?: NbdTls;
  readonly limits?: Partial<NbdLimits>;
  readonly clock: Clock;
  readonly log: EventLog;
}

export interface NbdServer {
  /** With the port that was chosen. */
  readonly address: ListenAddress;
  /** That stand now. */
  readonly connections: number;
  /** Ends all connections and the listening; the socket's file is gone then. */
  stop(): Promise<void>;
}

/**
 * The signal stops the server as `stop` does. Throws `bad-input` for an address that others could reach without TLS, for unusable
 * certificates, and for an address that cannot be had; `in-use` where another server listens on it.
 */
export async function startNbdServer(options: NbdServerOptions, signal: AbortSignal): Promise<NbdServer> {
  signal.throwIfAborted();
  refuseOpenAddress(options.listen, options.tls !== undefined);
  if (options.tls !== undefined) checkTls(options.tls);
  const limits = { ...defaultNbdLimits, ...options.limits };
  const stopping = new AbortController();
  // Until nothing is under way for it any more: what a client that has left asked for still takes memory.
  const running = new Map<Socket, Promise<void>>();
  const context = {
    offer: offerOf(options),
    devices: new Map(options.exports.map(({ name, device }) => [name, device])),
    tls: options.tls,
    limits,
    clock: options.clock,
    log: options.log,
    signal: stopping.signal,
  };
  let accepted = 0;
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, (socket) => {
    if (running.size >= limits.connections || stopping.signal.aborted) {
      options.log.log("warning", "nbd-connection-refused", { connections: running.size });
      socket.destroy();
      return;
    }
    accepted += 1;
    running.set(
      socket,
      serveConnection(socket, accepted, context).finally(() => running.delete(socket)),
    );
  });
  await listenOn(server, options.listen);
  const address = addressOf(server, options.listen);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    signal.removeEventListener("abort", stopAtOnce);
    stopped ??= stopServer(server, stopping, running, limits, options.clock);
    return stopped;
  };
  const stopAtOnce = (): void => void stop();
  signal.addEventListener("abort", stopAtOnce, { once: true });
  return {
    address,
    get connections() {
      return [...running.keys()].filter((socket) => !socket.destroyed).length;
    },
    stop,
  };
}

function offerOf({ exports, defaultExport, tls }: NbdServerOptions): Offer {
  return {
    exports: exports.map(({ name, description, device }) => ({ name, description, sizeBytes: device.sizeBytes })),
    ...(defaultExport === undefined ? {} : { defaultExport }),
    tls: tls !== undefined,
  };
}

async function listenOn(server: Server, address: ListenAddress): Promise<void> {
  const listen = (options: ListenOptions): Promise<Server> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(options, () => {
        server.off("error", reject);
        resolve(server);
      });
    });
  try {
    if (address.kind === "unix") await listenOnSocket(address.path, listen);
    else await listen({ host: address.host, port: address.port });
  } catch (cause) {
    if (cause instanceof FarsideError) throw cause;
    const where = address.kind === "unix" ? address.path : `${address.host}:${address.port}`;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FarsideError("bad-input", `Cannot listen on ${where} (${why}): give another address.`, { cause });
  }
}

function addressOf(server: Server, wanted: ListenAddress): ListenAddress {
  const address = server.address();
  if (wanted.kind === "unix" || address === null || typeof address === "string") return wanted;
  return { ...wanted, port: address.port };
}

async function stopServer(
  server: Server,
  stopping: AbortController,
  running: ReadonlyMap<Socket, Promise<void>>,
  limits: NbdLimits,
  clock: Clock,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  stopping.abort(new FarsideError("interrupted", "The NBD server stops."));
  const ended = Promise.all(running.values());
  const patience = new AbortController();
  const late = clock.sleep(limits.stopMs, patience.signal).catch(() => undefined);
  await Promise.race([ended, late]);
  patience.abort();
  for (const socket of running.keys()) socket.destroy();
  await closed;
}
