/** TLS over a connection that began without it. */
import type { Socket } from "node:net";
import { createSecureContext, createServer } from "node:tls";
import { FarsideError } from "../../core/errors.ts";

/** PEM texts. */
export interface NbdTls {
  readonly cert: string;
  readonly key: string;
  /** Clients show a certificate that one of these has signed. */
  readonly ca: string;
}

/** Throws `bad-input` for certificates or keys that cannot be used. */
export function checkTls(tls: NbdTls): void {
  try {
    createSecureContext({ cert: tls.cert, key: tls.key, ca: tls.ca });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FarsideError("bad-input", `The TLS certificates cannot be used (${why}): give PEM files that fit.`, {
      cause,
    });
  }
}

/**
 * Call it in the turn in which the client was told to begin: the socket must have changed hands before the client's first message is
 * read. Undefined where the handshake fails, for one because the client shows no certificate of the authority; the socket is closed
 * then.
 */
export function secureSocket(socket: Socket, tls: NbdTls, handshakeMs: number): Promise<Socket | undefined> {
  // A server that does not listen: it is what checks a client's certificate; a bare TLSSocket does not.
  const server = createServer({
    ...tls,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    handshakeTimeout: handshakeMs,
  });
  return new Promise((resolve) => {
    server.once("secureConnection", resolve);
    const onFailure = (): void => {
      socket.destroy();
      resolve(undefined);
    };
    server.once("tlsClientError", onFailure);
    socket.once("close", onFailure);
    server.emit("connection", socket);
  });
}
