/**
 * Keeps one worker process running and runs functions in it.
 *
 * 1. A worker that ends by itself fails what ran in it at once, and is replaced after a pause that grows with each end.
 * 2. A function that runs longer than the function timeout fails, and its worker is replaced: Node.js cannot cancel it.
 *    The app's appTerminate hooks get their time and the process is killed.
 * 3. What else ran in that worker is lost and, as in Azure, not failed with it: it counts as running (its message stays
 *    invisible, its caller waits) until its own timeout, and then fails without harming the new worker.
 * 4. An invocation that comes while there is no worker waits for the next one; its timeout runs meanwhile.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describeError, type LogSink } from "./log.ts";
import { endText, type WorkerAnswer, type WorkerEnd, type WorkerProcess } from "./worker-process.ts";
import type { InvokeRequest, Registration } from "./worker-protocol.ts";

export type InvocationEnd =
  | WorkerAnswer
  | { readonly kind: "timed-out"; readonly message: string }
  | { readonly kind: "lost"; readonly message: string }
  | { readonly kind: "host-stopped"; readonly message: string };

export interface SupervisorOptions {
  /** Starts and loads one worker process. */
  readonly startWorker: () => Promise<WorkerProcess>;
  readonly functionTimeoutMs: number | undefined;
  /** Time for the appTerminate hooks. */
  readonly terminateGraceMs: number;
  /** The pause before the first restart; it doubles up to 300 times this. */
  readonly restartDelayMs: number;
  readonly log: LogSink;
}

const category = "Host.Worker";
const crashWindowMs = 30 * 60_000;
const manyCrashes = 3;

export class WorkerSupervisor {
  /** As the first worker registered them. */
  readonly functions: readonly Registration[];
  readonly #options: SupervisorOptions;
  readonly #stopping = new AbortController();
  readonly #stopped = Promise.withResolvers<InvocationEnd>();
  /** Retired workers that have not ended yet. */
  readonly #retired = new Set<WorkerProcess>();
  #crashTimes: number[] = [];
  #current: WorkerProcess | undefined;
  #ready: Promise<WorkerProcess>;

  private constructor(options: SupervisorOptions, first: WorkerProcess) {
    this.#options = options;
    this.functions = first.functions;
    this.#ready = Promise.resolve(first);
    this.#adopt(first);
  }

  /** Starts the first worker; its failure to start is thrown, and not tried again. */
  static async start(options: SupervisorOptions): Promise<WorkerSupervisor> {
    return new WorkerSupervisor(options, await options.startWorker());
  }

  /** undefined between two workers. */
  get workerPid(): number | undefined {
    return this.#current?.pid;
  }

  /** Runs a function to its end. Never rejects. */
  async invoke(
    request: Omit<InvokeRequest, "invocationId"> & { readonly invocationId?: string },
  ): Promise<InvocationEnd> {
    const full: InvokeRequest = { ...request, invocationId: request.invocationId ?? randomUUID() };
    let worker: WorkerProcess | undefined;
    const answer = this.#ready.then((ready) => {
      worker = ready;
      return ready.invoke(full);
    });
    // `#ready` rejects only when the host stops; the race below is decided by then.
    answer.catch(() => undefined);
    const { functionTimeoutMs } = this.#options;
    if (functionTimeoutMs === undefined) return Promise.race([answer, this.#stopped.promise]);
    const timeUp = Promise.withResolvers<"time-up">();
    const timer = setTimeout(() => timeUp.resolve("time-up"), functionTimeoutMs);
    const first = await Promise.race([answer, timeUp.promise, this.#stopped.promise]);
    clearTimeout(timer);
    return first === "time-up" ? this.#timedOut(full, worker, functionTimeoutMs) : first;
  }

  /** SIGKILL, as a crash of the app: for tests. Resolves when the process has ended. */
  async killWorker(): Promise<void> {
    const worker = await this.#ready;
    worker.kill();
    await worker.ended;
  }

  /** Ends the workers; what still runs ends as `worker-ended`, or as `host-stopped` where its worker was retired. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const workers = [...this.#retired, ...(this.#current === undefined ? [] : [this.#current])];
    await Promise.all(workers.map((worker) => worker.terminate(this.#options.terminateGraceMs)));
    // A replacement that is just starting ends itself when it sees the signal.
    await this.#ready.catch(() => undefined);
    this.#stopped.resolve({ kind: "host-stopped", message: "The host stopped before the function ended." });
  }

  #timedOut(request: InvokeRequest, worker: WorkerProcess | undefined, timeoutMs: number): InvocationEnd {
    const text = `${request.functionName} ran longer than the function timeout of ${timeoutMs} ms`;
    if (worker === undefined) return { kind: "timed-out", message: `${text} while there was no worker process.` };
    if (this.#retired.has(worker) || worker !== this.#current) {
      return { kind: "lost", message: `${text}; its worker process was ended before, for another function's timeout.` };
    }
    const others = worker.running.filter((id) => id !== request.invocationId).length;
    this.#options.log(
      "error",
      category,
      `${text}: its worker process ${worker.pid} is ended. Lost with it, until their own timeouts: ${others} invocations.`,
    );
    worker.retire();
    this.#retired.add(worker);
    void worker.ended.then(() => this.#retired.delete(worker));
    void worker.terminate(this.#options.terminateGraceMs);
    this.#replace(0);
    return { kind: "timed-out", message: `${text}.` };
  }

  #adopt(worker: WorkerProcess): void {
    this.#current = worker;
    void worker.ended.then((end) => this.#crashed(worker, end));
  }

  #crashed(worker: WorkerProcess, end: WorkerEnd): void {
    if (this.#current !== worker || this.#stopping.signal.aborted) return;
    const now = performance.now();
    this.#crashTimes = [...this.#crashTimes.filter((time) => now - time < crashWindowMs), now];
    const count = this.#crashTimes.length;
    this.#options.log("error", category, `The worker process ${worker.pid} ended by itself: ${endText(end)}.`);
    if (count >= manyCrashes) {
      this.#options.log(
        "critical",
        category,
        `The worker process has ended by itself ${count} times within 30 minutes. Azure would restart the whole host now. Look above for its last words.`,
      );
    }
    const factor = Math.min(2 ** (count - 1), 300);
    this.#replace(this.#options.restartDelayMs * factor);
  }

  #replace(delayMs: number): void {
    this.#current = undefined;
    this.#ready = this.#startNext(delayMs);
    this.#ready.catch(() => undefined);
  }

  /** Tries until a worker has started, or the host stops, at which it rejects. */
  async #startNext(delayMs: number): Promise<WorkerProcess> {
    const { signal } = this.#stopping;
    for (let delay = delayMs; ; delay = Math.max(this.#options.restartDelayMs, Math.min(delay * 2, 30_000))) {
      await sleep(delay, undefined, { signal });
      try {
        const worker = await this.#options.startWorker();
        if (signal.aborted) {
          await worker.terminate(this.#options.terminateGraceMs);
          signal.throwIfAborted();
        }
        if (JSON.stringify(worker.functions) !== JSON.stringify(this.functions)) {
          const text = "The app registered other functions than at the host's start: restart the host to use them.";
          this.#options.log("critical", category, text);
        }
        this.#adopt(worker);
        return worker;
      } catch (error) {
        if (signal.aborted) throw error;
        this.#options.log("critical", category, `A new worker process could not be started: ${describeError(error)}`);
      }
    }
  }
}
