/**
 * Runs one timer function by its schedule.
 *
 * 1. Only under the lease: of several instances on one storage account, one runs the timer. Whoever loses the lease
 *    stops scheduling and tries to get it back.
 * 2. Runs never overlap. Occurrences during a long run are skipped, not queued.
 * 3. A failed run is not tried again: the schedule goes on.
 * 4. The status is written after each run, and not after one that the host's stop cut off: what the host did not
 *    finish is caught up at its next start (see timer-status.ts).
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { FunctionRunner, RunEnd } from "./function-runner.ts";
import type { TimerFunction } from "./function-table.ts";
import type { HostStorage, TimerLease } from "./host-storage.ts";
import { describeError, type LogSink } from "./log.ts";
import { afterRun, planStart, statusToJson, type TimerStatus } from "./timer-status.ts";

export interface TimerListenerOptions {
  readonly entry: TimerFunction;
  readonly runner: FunctionRunner;
  readonly storage: HostStorage;
  /** 15 to 60 s, as the storage service has it. Renewed at half. */
  readonly leaseMs: number;
  /** Between two attempts to get a lease that another instance has. */
  readonly leaseRetryMs: number;
  readonly log: LogSink;
}

/** Node.js takes longer pauses for none; longer ones are made of several. */
const longestPauseMs = 24 * 3_600_000;

export class TimerListener {
  readonly #options: TimerListenerOptions;
  readonly #category: string;
  readonly #stopping = new AbortController();
  readonly #loop: Promise<void>;
  #status: TimerStatus | undefined;

  constructor(options: TimerListenerOptions) {
    this.#options = options;
    this.#category = `Host.Triggers.Timer.${options.entry.name}`;
    this.#loop = this.#listen();
  }

  /** No more runs by the schedule. One that goes on is waited for. */
  stop(): void {
    this.#stopping.abort();
  }

  /** Resolves after stop(), when the last run has ended and the lease is given back. */
  get stopped(): Promise<void> {
    return this.#loop;
  }

  /** A run by hand, beside the schedule: it may overlap with one of the schedule and changes no status. */
  runNow(reason: string): Promise<RunEnd> {
    return this.#run(reason, false);
  }

  async #listen(): Promise<void> {
    const { entry, storage, leaseMs, leaseRetryMs, log } = this.#options;
    const { signal } = this.#stopping;
    let told = false;
    while (!signal.aborted) {
      try {
        const lease = await storage.acquireTimerLease(entry.name, leaseMs);
        if (lease !== undefined) await this.#underLease(lease);
        else if (!told) log("information", this.#category, `Another instance runs this timer; waiting for its lease.`);
        told = lease === undefined;
      } catch (error) {
        log("error", this.#category, `The timer cannot run now: ${describeError(error)}`);
      }
      await pause(leaseRetryMs, signal);
    }
  }

  async #underLease(lease: TimerLease): Promise<void> {
    const { entry, leaseMs, log } = this.#options;
    const lost = new AbortController();
    const renewal = setInterval(() => {
      lease.renew().catch((error: unknown) => {
        log("error", this.#category, `The lease of the timer ${entry.name} was lost: ${describeError(error)}`);
        lost.abort();
      });
    }, leaseMs / 2);
    try {
      await this.#schedule(AbortSignal.any([this.#stopping.signal, lost.signal]));
    } finally {
      clearInterval(renewal);
      if (!lost.signal.aborted) {
        await lease.release().catch((error: unknown) => log("debug", this.#category, describeError(error)));
      }
    }
  }

  async #schedule(signal: AbortSignal): Promise<void> {
    const { entry, storage } = this.#options;
    const stored = entry.useMonitor ? await storage.readTimerStatus(entry.name) : undefined;
    if (signal.aborted) return;
    const plan = planStart(stored, entry.schedule, Date.now());
    this.#status = plan.status;
    if (plan.changed) await this.#remember(plan.status);
    if (plan.isPastDue) await this.#runAndRemember("Timer is past due: at least one run was missed.", true);
    else if (entry.runOnStartup) await this.#runAndRemember("Timer runs on startup.", true, false);
    while (!signal.aborted) {
      const next = entry.schedule.next(Date.now());
      while (Date.now() < next && !signal.aborted) {
        await pause(Math.min(next - Date.now(), longestPauseMs), signal);
      }
      if (!signal.aborted) await this.#runAndRemember("Timer fired.", false);
    }
  }

  /** @param isCatchUp beside the schedule: never counted as an early run of the next occurrence. */
  async #runAndRemember(reason: string, isCatchUp: boolean, isPastDue = isCatchUp): Promise<void> {
    const invokedMs = Date.now();
    const end = await this.#run(reason, isPastDue);
    const cutOff = this.#stopping.signal.aborted && (end.kind === "worker-ended" || end.kind === "host-stopped");
    if (this.#status === undefined || cutOff) return;
    this.#status = afterRun(this.#status, this.#options.entry.schedule, invokedMs, isCatchUp);
    await this.#remember(this.#status);
  }

  #run(reason: string, isPastDue: boolean): Promise<RunEnd> {
    const { entry, runner } = this.#options;
    const status = this.#status;
    const info = {
      Schedule: { AdjustForDST: true },
      // null for schedules without a status, although the library's type says otherwise.
      ScheduleStatus: entry.useMonitor && status !== undefined ? statusToJson(status) : null,
      IsPastDue: isPastDue,
    };
    return runner.run(entry, { reason, data: { json: JSON.stringify(info) } });
  }

  async #remember(status: TimerStatus): Promise<void> {
    const { entry, storage, log } = this.#options;
    if (!entry.useMonitor) return;
    try {
      await storage.writeTimerStatus(entry.name, status);
    } catch (error) {
      log("error", this.#category, `The status of the timer could not be written: ${describeError(error)}`);
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // An abort ends the pause; the caller looks at the signal.
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
