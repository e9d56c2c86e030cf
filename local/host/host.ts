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
import { FarsideError } from "../../shared/core/errors.ts";
import { blobServiceOf, hostConnectionName, resolveConnection } from "./connections.ts";
import { FunctionRunner, type RunEnd } from "./function-runner.ts";
import { buildFunctionTable, type FunctionEntry } from "./function-table.ts";
import { parseHostJson, type HostConfiguration } from "./host-json.ts";
import { HostStorage } from "./host-storage.ts";
import { HttpListener } from "./http-listener.ts";
import { newKey, type Keys } from "./keys.ts";
import type { LogSink } from "./log.ts";
import { QueueListener } from "./queue-listener.ts";
import { triggerMetadata } from "./queue-message.ts";
import { QueueSender } from "./queue-sender.ts";
import { Settings } from "./settings.ts";
import { TimerListener } from "./timer-listener.ts";
import { WorkerProcess } from "./worker-process.ts";
import { WorkerSupervisor } from "./worker-supervisor.ts";

export interface HostOptions {
  /** With package.json (its `main` is the app) and host.json. */
  readonly appFolder: string;
  /** The app's settings: all of its environment, as in Azure. */
  readonly settings: Readonly<Record<string, string>>;
  /** On 127.0.0.1; 0 for any free one. */
  readonly port: number;
  /** Missing ones are made up. */
  readonly keys?: Partial<Keys>;
  /** Default true. Without keys every function is open to every local program. */
  readonly requireKeys?: boolean;
  readonly log: LogSink;
  /** The names that the app must have, no more and no less. */
  readonly expectedFunctions?: readonly string[];
  /** Names this app in the storage account: timers of hosts with one id are one timer. Default: machine and folder. */
  readonly hostId?: string;
  readonly timings?: Partial<HostTimings>;
}

/** All in milliseconds; the defaults are Azure's, except where they say otherwise. */
export interface HostTimings {
  /** How long a fetched message stays invisible without renewal; 600 s, fixed in Azure. At least 1 s here. */
  readonly queueVisibilityMs: number;
  /** Default: half of queueVisibilityMs. */
  readonly queueRenewalMs: number;
  readonly queueMinPollingMs: number;
  /** Instead of host.json's functionTimeout. */
  readonly functionTimeoutMs: number;
  readonly workerStartTimeoutMs: number;
  readonly workerRestartDelayMs: number;
  /** For the appTerminate hooks. */
  readonly terminateGraceMs: number;
  /** How long stop() waits for what runs. */
  readonly stopGraceMs: number;
  readonly timerLeaseMs: number;
  /** 5 s; Azure: 60 s. */
  readonly timerLeaseRetryMs: number;
  readonly httpAnswerTimeoutMs: number;
}

const defaultTimings = {
  queueVisibilityMs: 600_000,
  queueMinPollingMs: 100,
  workerStartTimeoutMs: 60_000,
  workerRestartDelayMs: 100,
  terminateGraceMs: 5000,
  stopGraceMs: 30_000,
  timerLeaseMs: 60_000,
  timerLeaseRetryMs: 5000,
  httpAnswerTimeoutMs: 230_000,
} satisfies Partial<HostTimings>;

export interface FunctionSummary {
  readonly name: string;
  readonly kind: FunctionEntry["kind"];
  readonly disabled: boolean;
  /** The queue's name, the schedule, or methods and path. */
  readonly trigger: string;
}

export interface Host {
  /** `http://127.0.0.1:PORT`, without the route prefix. */
  readonly url: string;
  readonly port: number;
  readonly masterKey: string;
  readonly hostKey: string;
  readonly functions: readonly FunctionSummary[];
  /** Of the app's process; undefined while it is being replaced. */
  readonly workerPid: number | undefined;
  /** Runs a timer function now, beside its schedule, and waits for it. @throws FarsideError `not-found`, or `unavailable` where it failed. */
  invokeTimer(name: string): Promise<void>;
  /** SIGKILL of the app's process, as a crash: for tests. Resolves when it has ended; a new one starts by itself. */
  killWorker(): Promise<void>;
  /** Ends everything, in order. Safe to call twice. */
  stop(): Promise<void>;
}

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

    const supervisor = await WorkerSupervisor.start({
      startWorker: () =>
        WorkerProcess.start({
          appFolder,
          hostVersion,
          environment: {
            FUNCTIONS_WORKER_RUNTIME: "node",
            WEBSITE_HOSTNAME: `127.0.0.1:${http.port}`,
            ...settings.asEnvironment(),
          },
          nodeArguments: (settings.get("languageWorkers:node:arguments") ?? "").split(" ").filter((one) => one !== ""),
          startTimeoutMs: timings.workerStartTimeoutMs,
          log,
        }),
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
    const storage = await storageFor(functions, settings, hostId);

    const active = functions.filter((entry) => !entry.disabled);
    const queues: QueueListener[] = [];
    undo.push(() => Promise.all(queues.map((listener) => listener.stopFetching())));
    for (const entry of active.filter((one) => one.kind === "queue")) {
      queues.push(
        await QueueListener.start({
          entry,
          configuration: configuration.queues,
          runner,
          sender,
          visibilityMs: timings.queueVisibilityMs,
          renewalMs: timings.queueRenewalMs ?? timings.queueVisibilityMs / 2,
          minPollingIntervalMs: timings.queueMinPollingMs,
          log,
        }),
      );
    }
    const timers = new Map(
      storage === undefined
        ? []
        : active
            .filter((one) => one.kind === "timer")
            .map((entry) => {
              const { timerLeaseMs: leaseMs, timerLeaseRetryMs: leaseRetryMs } = timings;
              return [entry.name, new TimerListener({ entry, runner, storage, leaseMs, leaseRetryMs, log })] as const;
            }),
    );
    const runByHand = (entry: FunctionEntry, input: string): Promise<RunEnd> => {
      const timer = timers.get(entry.name);
      const reason = "This function was programmatically called via the host APIs.";
      if (timer !== undefined) return timer.runNow(reason);
      return runner.run(entry, { reason, data: { string: input }, triggerMetadata: metadataByHand(input) });
    };
    http.serve({ hostId, functions, runner, runByHand });

    const stopAll = async (): Promise<void> => {
      log("information", "Host.Startup", "Stopping: no new work is taken.");
      http.stopListening();
      for (const timer of timers.values()) timer.stop();
      await Promise.all(queues.map((listener) => listener.stopFetching()));
      if (!(await runner.idle(timings.stopGraceMs))) {
        const text = `Functions still ran after ${timings.stopGraceMs} ms: they are ended, and their messages run again.`;
        log("warning", "Host.Startup", text);
      }
      await supervisor.stop();
      await Promise.all([
        ...queues.map((listener) => listener.settled()),
        ...[...timers.values()].map((timer) => timer.stopped),
      ]);
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
      invokeTimer: async (name) => {
        const timer = timers.get(name);
        if (timer === undefined) {
          throw new FarsideError("not-found", `The app has no timer function ${JSON.stringify(name)} that is enabled.`);
        }
        const end = await timer.runNow("This function was programmatically called via the host APIs.");
        if (end.kind === "succeeded") return;
        throw new FarsideError("unavailable", `The timer function ${name} failed: ${end.message}`);
      },
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

/** A message that was never in a queue. */
function metadataByHand(input: string): ReturnType<typeof triggerMetadata> {
  const now = new Date();
  const facts = { messageId: "", popReceipt: "", dequeueCount: 0, insertedOn: now, expiresOn: now, nextVisibleOn: now };
  return triggerMetadata(facts, input);
}

function summary(entry: FunctionEntry): FunctionSummary {
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
