/**
 * A local host for a compiled Azure Functions app (Node.js, programming model v4): loads the same file that Azure loads
 * and runs its HTTP, timer and queue functions as Azure does.
 *
 * 1. The app runs in a process of its own (worker.ts). What harms that process harms no listener.
 * 2. A start is all or nothing: what does not fit is thrown, and nothing is left running.
 * 3. A stop goes from the outside in: no new work, wait for what runs, the app's appTerminate hooks, then the messages
 *    of what did not make it are given back, so that the next host need not wait for them.
 *
 * What Azure has and this does not: other triggers and bindings, retry policies, HTTP streaming, scaling, several
 * workers per host, host.json's logging levels (the log sink filters).
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { availableParallelism, hostname } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FarsideError } from "../../shared/core/errors.ts";
import { blobServiceOf, hostConnectionName, resolveConnection } from "./connections.ts";
import { FunctionRunner } from "./function-runner.ts";
import { buildFunctionTable, type FunctionEntry } from "./function-table.ts";
import { parseHostJson, type HostConfiguration } from "./host-json.ts";
import { defaultTimings, type Host, type HostOptions } from "./host-options.ts";
import { HostStorage } from "./host-storage.ts";
import { HttpListener } from "./http-listener.ts";
import { newKey, type Keys } from "./keys.ts";
import { Listeners } from "./listeners.ts";
import { QueueSender } from "./queue-sender.ts";
import { Settings } from "./settings.ts";
import { WorkerProcess } from "./worker-process.ts";
import { WorkerSupervisor } from "./worker-supervisor.ts";

const hostVersion = "4.1048.200";
/** Azure's default of the largest request body. */
const bodyLimitBytes = 104_857_600;

/**
 * Starts the host; returns when every listener runs.
 * @throws FarsideError `bad-configuration` (host.json, settings, the app fails to load, functions that do not fit),
 *   `unavailable` (the port is taken, the app does not load in time).
 */
export async function startHost(options: HostOptions): Promise<Host> {
  const appFolder = resolve(options.appFolder);
  const { log } = options;
  const timings = { ...defaultTimings, ...options.timings };
  const settings = new Settings({ AZURE_FUNCTIONS_ENVIRONMENT: "Development", ...options.settings });
  const configuration = await readHostJson(appFolder, settings);
  const keys: Keys = { master: newKey(), host: newKey(), ...options.keys };
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const http = await HttpListener.start(options.port, {
      keys,
      requireKeys: options.requireKeys ?? true,
      bodyLimitBytes,
      answerTimeoutMs: timings.httpAnswerTimeoutMs,
      log,
    });
    undo.push(() => http.close());

    const environment = {
      FUNCTIONS_WORKER_RUNTIME: "node",
      WEBSITE_HOSTNAME: `127.0.0.1:${http.port}`,
      ...settings.asEnvironment(),
    };
    const nodeArguments = (settings.get("languageWorkers:node:arguments") ?? "").split(" ").filter((one) => one !== "");
    const startTimeoutMs = timings.workerStartTimeoutMs;
    const supervisor = await WorkerSupervisor.start({
      startWorker: () =>
        WorkerProcess.start({ appFolder, hostVersion, environment, nodeArguments, startTimeoutMs, log }),
      functionTimeoutMs: timings.functionTimeoutMs ?? configuration.functionTimeoutMs,
      terminateGraceMs: timings.terminateGraceMs,
      restartDelayMs: timings.workerRestartDelayMs,
      log,
    });
    undo.push(() => supervisor.stop());

    const functions = buildFunctionTable(supervisor.functions, {
      settings,
      routePrefix: configuration.routePrefix,
      expectedFunctions: options.expectedFunctions,
      nowMs: Date.now(),
    });
    const sender = new QueueSender(configuration.queues.messageEncoding);
    const runner = new FunctionRunner(supervisor, sender, log);
    const hostId = options.hostId ?? settings.get("AzureFunctionsWebHost:hostid") ?? defaultHostId(appFolder);
    const listeners = await Listeners.start({
      queueRenewalMs: timings.queueVisibilityMs / 2,
      ...timings,
      functions,
      runner,
      sender,
      storage: await storageFor(functions, settings, hostId),
      queues: configuration.queues,
      log,
    });
    http.serve({ hostId, functions, runner, runByHand: (entry, input) => listeners.runByHand(entry, input) });

    const stopAll = async (): Promise<void> => {
      const say = (text: string): void => log("warning", "Host.Shutdown", text);
      log("information", "Host.Shutdown", "Stopping: no new work is taken.");
      http.stopListening();
      await listeners.stopTakingWork();
      if (!(await runner.idle(timings.stopGraceMs))) {
        say(`Functions still ran after ${timings.stopGraceMs} ms: they are ended, and their messages run again.`);
      }
      await supervisor.stop();
      const timeUp = new AbortController();
      const late = sleep(timings.settleGraceMs, true, { signal: timeUp.signal }).catch(() => false);
      if (await Promise.race([listeners.settled().then(() => false), late])) {
        say(
          `The storage did not answer within ${timings.settleGraceMs} ms: messages and leases stay until they expire.`,
        );
      }
      timeUp.abort();
      await http.close();
    };
    let stopping: Promise<void> | undefined;
    return {
      url: `http://127.0.0.1:${http.port}`,
      port: http.port,
      masterKey: keys.master,
      hostKey: keys.host,
      functions: functions.map(summary),
      get workerPid() {
        return supervisor.workerPid;
      },
      invokeTimer: (name) => listeners.invokeTimer(name),
      killWorker: () => supervisor.killWorker(),
      stop: () => (stopping ??= stopAll()),
    };
  } catch (error) {
    for (const step of undo.toReversed()) await step();
    throw error;
  }
}

async function readHostJson(appFolder: string, settings: Settings): Promise<HostConfiguration> {
  const path = join(appFolder, "host.json");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new FarsideError("bad-configuration", `${path} cannot be read: is this the folder of the app?`, {
      cause: error,
    });
  }
  const development = settings.get("AZURE_FUNCTIONS_ENVIRONMENT") === "Development";
  return parseHostJson(text, { settings, development, processors: availableParallelism() });
}

/** Only timers need it. */
async function storageFor(
  functions: readonly FunctionEntry[],
  settings: Settings,
  hostId: string,
): Promise<HostStorage | undefined> {
  if (!functions.some((entry) => entry.kind === "timer" && !entry.disabled)) return undefined;
  const connection = resolveConnection(settings, hostConnectionName, "The host, for its timers,");
  const storage = new HostStorage(await blobServiceOf(connection), hostId);
  await storage.prepare();
  return storage;
}

/** Lower-case letters, digits and "-", at most 32: as the real host's. */
function defaultHostId(appFolder: string): string {
  const machine = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "")
    .slice(0, 15);
  return `${machine || "local"}-${createHash("sha256").update(appFolder).digest("hex").slice(0, 16)}`;
}

function summary(entry: FunctionEntry): Host["functions"][number] {
  const { name, kind, disabled } = entry;
  switch (entry.kind) {
    case "queue":
      return { name, kind, disabled, trigger: entry.queueName };
    case "timer":
      return { name, kind, disabled, trigger: entry.schedule.text };
    case "http":
      return { name, kind, disabled, trigger: `${entry.methods.join(",")} /${entry.route.text}` };
    default:
      return entry satisfies never;
  }
}
