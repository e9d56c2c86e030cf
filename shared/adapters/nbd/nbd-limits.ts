/**
 * What clients may take. In all at most `connections` × `connectionBytes` are in flight (read from a device, and not yet taken by a
 * client): no client can hold back another by not reading.
 */
export interface NbdLimits {
  /** More are turned away. */
  readonly connections: number;
  /** In flight for one connection. */
  readonly connectionBytes: number;
  /** Requests of one connection that are worked on at once; more are not read. */
  readonly connectionRequests: number;
  /** From the connection to the end of the handshake, TLS included. */
  readonly handshakeMs: number;
  /** Options of one handshake: a client that lists asks twice for each export. */
  readonly handshakeOptions: number;
  /** How long a stop waits for replies that are under way. */
  readonly stopMs: number;
}

export const defaultNbdLimits: NbdLimits = {
  connections: 32,
  connectionBytes: 2 * 1024 * 1024,
  connectionRequests: 64,
  handshakeMs: 20_000,
  handshakeOptions: 4096,
  stopMs: 2000,
};
