/** Where a server listens: `unix:PATH` or `HOST:PORT`. */
import { FarsideError } from "../errors.ts";

export type ListenAddress =
  | { readonly kind: "unix"; readonly path: string }
  /** Port 0: any that is free. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** Of `sockaddr_un` in unix(7): 108 with the NUL at its end. */
const longestSocketPathBytes = 107;

/** Throws `bad-input`. A relative path stays relative. */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("unix:")) return unixAddress(text.slice("unix:".length));
  const match = /^(?:\[([0-9a-f:.]+)\]|([^[\]:/\s]+)):(\d{1,5})$/i.exec(text);
  const [host, port] = [match?.[1] ?? match?.[2], Number(match?.[3])];
  if (host === undefined || port > 65_535) {
    throw new FarsideError(
      "bad-input",
      `${JSON.stringify(text)} is no address to listen on: write unix:PATH or HOST:PORT, like unix:/run/web1.sock or 127.0.0.1:10809.`,
    );
  }
  // The name may stand for anything in a machine's hosts file; what is meant is this machine alone.
  return { kind: "tcp", host: host === "localhost" ? "127.0.0.1" : host, port };
}

/** Throws `bad-input` for a path that no socket can have. */
export function unixAddress(path: string): ListenAddress {
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > 0 && bytes <= longestSocketPathBytes && !path.includes("\0")) return { kind: "unix", path };
  throw new FarsideError(
    "bad-input",
    `The path of a unix socket has 1 to ${longestSocketPathBytes} bytes, and ${JSON.stringify(path)} has ${bytes}: give a shorter one.`,
  );
}

/** Whether only this machine can connect to it. Names other than localhost may stand for anything, so they do not count. */
export function isLocal(address: ListenAddress): boolean {
  if (address.kind === "unix") return true;
  return address.host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(address.host);
}

/** Throws `bad-input` for an address that other machines could reach, where not even a certificate is asked for. */
export function refuseOpenAddress(address: ListenAddress, tls: boolean): void {
  if (address.kind === "unix" || isLocal(address) || tls) return;
  throw new FarsideError(
    "bad-input",
    `${address.host} can be reached from other machines: give --tls-cert, --tls-key and --tls-ca (or --tls-dir), or listen on 127.0.0.1 or on a unix socket.`,
  );
}
