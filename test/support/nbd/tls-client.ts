/** A TLS client of the NBD server that says which versions it speaks. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type SecureVersion } from "node:tls";
import type { ListenAddress } from "../../../shared/core/nbd/listen-address.ts";
import { NbdClient } from "./nbd-client.ts";

/** The version that was agreed on, once the server has answered over it. */
export async function connectTls(options: {
  /** With ca-cert.pem, client-cert.pem and client-key.pem. */
  readonly folder: string;
  readonly address: ListenAddress;
  readonly maxVersion: SecureVersion;
}): Promise<string | null> {
  const pem = (name: string): Promise<Buffer> => readFile(join(options.folder, name));
  const [ca, cert, key] = await Promise.all(["ca-cert.pem", "client-cert.pem", "client-key.pem"].map(pem));
  const client = await NbdClient.greeted(options.address);
  const [answer] = await client.option(5);
  if (answer?.type !== 1) throw new Error("The server does not begin TLS.");
  client.socket.removeAllListeners("data");
  return new Promise((resolve, reject) => {
    const secured = connect({
      socket: client.socket,
      ca,
      cert,
      key,
      minVersion: "TLSv1",
      maxVersion: options.maxVersion,
      // Node's default level refuses what is to be tried here by itself.
      ciphers: "DEFAULT:@SECLEVEL=0",
    });
    secured.once("error", reject);
    secured.once("close", () => reject(new Error("The server closed the connection.")));
    // An option in the clear before it, so this is the first over TLS: NBD_OPT_ABORT, whose reply is an ack.
    secured.once("secureConnect", () => secured.write(Buffer.from("IHAVEOPT\0\0\0\x02\0\0\0\0", "latin1")));
    secured.once("data", () => {
      resolve(secured.getProtocol());
      secured.destroy();
    });
  });
}
