/** An NBD server for one test, on a unix socket in a folder of its own. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../shared/adapters/local/system-clock.ts";
import type { NbdServer, NbdServerOptions } from "../../../shared/adapters/nbd/nbd-server.ts";
import { startNbdServer } from "../../../shared/adapters/nbd/nbd-server.ts";

export interface TestServer extends NbdServer {
  readonly path: string;
  /** "event field=value …" of each thing logged. */
  readonly logged: string[];
}

const never = new AbortController().signal;

export async function startTestServer(options: Partial<NbdServerOptions>): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), "farside-nbd-"));
  const path = join(folder, "socket");
  const logged: string[] = [];
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const server = await startNbdServer(
    {
      exports: [],
      listen: { kind: "unix", path },
      clock: systemClock,
      log: {
        log: (_level, event, fields) => {
          const shown = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
          logged.push([event, ...shown].join(" "));
        },
      },
      ...options,
    },
    never,
  ).catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  return {
    path,
    logged,
    address: server.address,
    get connections() {
      return server.connections;
    },
    /** Throws where something is left of it. */
    async stop() {
      await server.stop();
      if (server.connections > 0) throw new Error(`${server.connections} connections are left.`);
      if (existsSync(path)) throw new Error(`${path} is left.`);
      await remove();
    },
  };
}
