/** What a host is started with, and what a started host offers. */
import type { FunctionEntry } from "./function-table.ts";
import type { Keys } from "./keys.ts";
import type { LogSink } from "./log.ts";

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
  /** How long stop() waits for the storage service, at the end, to take back messages and leases. */
  readonly settleGraceMs: number;
}

export const defaultTimings = {
  queueVisibilityMs: 600_000,
  queueMinPollingMs: 100,
  workerStartTimeoutMs: 60_000,
  workerRestartDelayMs: 100,
  terminateGraceMs: 5000,
  stopGraceMs: 30_000,
  timerLeaseMs: 60_000,
  timerLeaseRetryMs: 5000,
  httpAnswerTimeoutMs: 230_000,
  settleGraceMs: 10_000,
} satisfies Partial<HostTimings>;

interface FunctionSummary {
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
