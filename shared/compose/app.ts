/**
 * The app: settings read and ports wired when a function first needs them, and never while a module loads: what throws there
 * takes every function away.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Environment } from "../config/problems.ts";
import { readConfig } from "../config/config.ts";
import { farsideVersion } from "../config/version.ts";
import type { Context } from "../operations/context.ts";
import { createContext } from "./context.ts";

export interface App {
  /** Throws `bad-configuration` with every problem of the settings. Never touches the network. */
  context(): Promise<Context>;
  /** Aborted when the process is told to end. */
  readonly stopping: AbortSignal;
  readonly version: string;
}

export function createApp(environment: Environment, stopping: AbortSignal): App {
  let composing: Promise<Context> | undefined;
  return {
    context() {
      composing ??= compose(environment).catch((error: unknown) => {
        composing = undefined;
        throw error;
      });
      return composing;
    },
    stopping,
    version: farsideVersion,
  };
}

async function compose(environment: Environment): Promise<Context> {
  return createContext(readConfig(environment, readHostJson(environment)));
}

/** The runtime says where the app is; it starts the process there as well. */
function readHostJson(environment: Environment): string | undefined {
  const folder = environment["AzureWebJobsScriptRoot"] ?? process.cwd();
  try {
    return readFileSync(join(folder, "host.json"), "utf8");
  } catch {
    return undefined;
  }
}
