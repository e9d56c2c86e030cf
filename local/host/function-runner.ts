/** Runs one function to its end for a listener: the invocation, its outputs, and the two log lines around them. */
import { randomUUID } from "node:crypto";
import type { FunctionEntry } from "./function-table.ts";
import { describeError, type LogSink } from "./log.ts";
import type { QueueSender } from "./queue-sender.ts";
import type { TypedData } from "./worker-protocol.ts";
import type { InvocationEnd, WorkerSupervisor } from "./worker-supervisor.ts";

export interface RunRequest {
  /** Why it runs, for the log. */
  readonly reason: string;
  readonly data: TypedData;
  readonly triggerMetadata?: Readonly<Record<string, TypedData>>;
}

export type RunEnd = InvocationEnd | { readonly kind: "output-failed"; readonly message: string };

export class FunctionRunner {
  readonly #supervisor: WorkerSupervisor;
  readonly #sender: QueueSender;
  readonly #log: LogSink;
  readonly #running = new Set<Promise<RunEnd>>();

  constructor(supervisor: WorkerSupervisor, sender: QueueSender, log: LogSink) {
    this.#supervisor = supervisor;
    this.#sender = sender;
    this.#log = log;
  }

  /** Never rejects. Outputs are written after a success only; one that fails makes the run a failure. */
  run(entry: FunctionEntry, request: RunRequest): Promise<RunEnd> {
    const run = this.#run(entry, request);
    this.#running.add(run);
    void run.then(() => this.#running.delete(run));
    return run;
  }

  /** Resolves when nothing runs; false when that took longer than `graceMs`. */
  async idle(graceMs: number): Promise<boolean> {
    const timeUp = Promise.withResolvers<false>();
    const timer = setTimeout(() => timeUp.resolve(false), graceMs);
    const idle = async (): Promise<true> => {
      while (this.#running.size > 0) await Promise.all(this.#running);
      return true;
    };
    return Promise.race([idle(), timeUp.promise]).finally(() => clearTimeout(timer));
  }

  async #run(entry: FunctionEntry, { reason, data, triggerMetadata = {} }: RunRequest): Promise<RunEnd> {
    const invocationId = randomUUID();
    const category = `Function.${entry.name}`;
    const startedAt = performance.now();
    this.#log("information", category, `Executing 'Functions.${entry.name}' (Reason='${reason}', Id=${invocationId})`);
    const inputData = [{ name: entry.triggerName, data }];
    const request = { invocationId, functionName: entry.name, inputData, triggerMetadata };
    let end: RunEnd = await this.#supervisor.invoke(request);
    if (end.kind === "succeeded") {
      try {
        await this.#sender.sendOutputs(entry.outputs, end.outputData, end.returnValue);
      } catch (error) {
        end = { kind: "output-failed", message: `An output could not be written: ${describeError(error)}` };
      }
    }
    const durationMs = Math.round(performance.now() - startedAt);
    const outcome = end.kind === "succeeded" ? "Succeeded" : "Failed";
    const text = `Executed 'Functions.${entry.name}' (${outcome}, Id=${invocationId}, Duration=${durationMs}ms)`;
    if (end.kind === "succeeded") this.#log("information", category, text);
    else this.#log("error", category, `${text}: ${end.kind === "threw" ? end.stack : end.message}`);
    return end;
  }
}
