/** The URI of an export (doc/uri.md of NetworkBlockDevice/nbd), which libnbd, nbdkit and qemu understand alike. */
import type { ListenAddress } from "./listen-address.ts";

export function nbdUri(address: ListenAddress, tls: boolean, exportName: string): string {
  const scheme = tls ? "nbds" : "nbd";
  const name = exportName.split("/").map(escapeText).join("/");
  if (address.kind === "unix") {
    const socket = address.path.split("/").map(escapeText).join("/");
    return `${scheme}+unix:///${name}?socket=${socket}`;
  }
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${scheme}://${host}:${address.port}/${name}`;
}

/** Also what stands for itself in a URI and for something else in a shell, or in an option of qemu (`,`). */
function escapeText(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
