/** The listeners of one app on queues and timers, started and stopped together. */
import { FarsideError } from "../../shared/core/errors.ts";
import type { FunctionRunner, RunEnd } from "./function-runner.ts";
import type { FunctionEntry } from "./function-table.ts";
import type { QueueConfiguration } from "./host-json.ts";
import type { HostStorage } from "./host-storage.ts";
import type { LogSink } from "./log.ts";
import { QueueListener } from "./queue-listener.ts";
import { triggerMetadata } from "./queue-message.ts";
import type { QueueSender } from "./queue-sender.ts";
import { TimerListener } from "./timer-listener.ts";

export interface ListenersOptions {
  readonly functions: readonly FunctionEntry[];
  readonly runner: FunctionRunner;
  readonly sender: QueueSender;
  /** undefined: an app without timers. */
  readonly storage: HostStorage | undefined;
  readonly queues: QueueConfiguration;
  readonly queueVisibilityMs: number;
  readonly queueRenewalMs: number;
  readonly queueMinPollingMs: number;
  readonly timerLeaseMs: number;
  readonly timerLeaseRetryMs: number;
  readonly log: LogSink;
}

const byHand = "This function was programmatically called via the host APIs.";

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #queues: readonly QueueListener[];
  readonly #timers: ReadonlyMap<string, TimerListener>;

  private constructor(
    options: ListenersOptions,
    queues: readonly QueueListener[],
    timers: ReadonlyMap<string, TimerListener>,
  ) {
    this.#options = options;
    this.#queues = queues;
    this.#timers = timers;
  }

  /** Starts a listener for each queue and timer function that is not disabled; none where one cannot be started. */
  static async start(options: ListenersOptions): Promise<Listeners> {
    const { runner, storage, log } = options;
    const active = options.functions.filter((entry) => !entry.disabled);
    const prepared = await Promise.all(
      active
        .filter((entry) => entry.kind === "queue")
        .map((entry) =>
          QueueListener.prepare({
            entry,
            configuration: options.queues,
            runner,
            sender: options.sender,
            visibilityMs: options.queueVisibilityMs,
            renewalMs: options.queueRenewalMs,
            minPollingIntervalMs: options.queueMinPollingMs,
            log,
          }),
        ),
    );
    for (const listener of prepared) listener.start();
    const { timerLeaseMs: leaseMs, timerLeaseRetryMs: leaseRetryMs } = options;
    const timers = new Map<string, TimerListener>();
    for (const entry of active) {
      if (entry.kind !== "timer" || storage === undefined) continue;
      timers.set(entry.name, new TimerListener({ entry, runner, storage, leaseMs, leaseRetryMs, log }));
    }
    return new Listeners(options, prepared, timers);
  }

  /**
   * Runs a timer beside its schedule.
   * @throws FarsideError `not-found` where there is none of that name, `unavailable` where the run failed.
   */
  async invokeTimer(name: string): Promise<void> {
    const timer = this.#timers.get(name);
    if (timer === undefined) {
      throw new FarsideError("not-found", `The app has no timer function ${JSON.stringify(name)} that is enabled.`);
    }
    const end = await timer.runNow(byHand);
    if (end.kind === "succeeded") return;
    throw new FarsideError("unavailable", `The timer function ${name} failed: ${end.message}`);
  }

  /** Runs a timer function beside its schedule, or a queue function with a message that was never in a queue. */
  runByHand(entry: FunctionEntry, input: string): Promise<RunEnd> {
    const timer = this.#timers.get(entry.name);
    if (timer !== undefined) return timer.runNow(byHand);
    const now = new Date();
    const never = { messageId: "", popReceipt: "", dequeueCount: 0 };
    const metadata = triggerMetadata({ ...never, insertedOn: now, expiresOn: now, nextVisibleOn: now }, input);
    return this.#options.runner.run(entry, { reason: byHand, data: { string: input }, triggerMetadata: metadata });
  }

  /** No new runs: no fetch, no schedule. Resolves when nothing more can come in. */
  async stopTakingWork(): Promise<void> {
    for (const timer of this.#timers.values()) timer.stop();
    await Promise.all(this.#queues.map((listener) => listener.stopFetching()));
  }

  /** Resolves when every message that was fetched is ended or given back, and every lease too. */
  async settled(): Promise<void> {
    await Promise.all([
      ...this.#queues.map((listener) => listener.settled()),
      ...[...this.#timers.values()].map((timer) => timer.stopped),
    ]);
  }
}
