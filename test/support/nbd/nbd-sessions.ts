/** The servers and clients of one test, ended together. */
import type { NbdServerOptions } from "../../../shared/adapters/nbd/nbd-server.ts";
import { type EnterOptions, NbdClient } from "./nbd-client.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

export class NbdSessions {
  readonly #servers: TestServer[] = [];
  readonly #clients: NbdClient[] = [];

  async start(options: Partial<NbdServerOptions>): Promise<TestServer> {
    const server = await startTestServer(options);
    this.#servers.push(server);
    return server;
  }

  /** With the greeting read. */
  async greet(server: TestServer, flags?: number): Promise<NbdClient> {
    return this.#kept(await NbdClient.greeted(server.address, flags));
  }

  /** In the transmission of an export. */
  async enter(server: TestServer, name: string, options?: EnterOptions): Promise<NbdClient> {
    return this.#kept(await NbdClient.entered(server.address, name, options));
  }

  /** Throws where something is left of a server. */
  async end(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    for (const server of this.#servers.splice(0)) await server.stop();
  }

  #kept(client: NbdClient): NbdClient {
    this.#clients.push(client);
    return client;
  }
}
