/**
 * Long-running operations, in the shapes that ARM documents: the request is accepted, and the caller polls a URL until it is done.
 *
 * 1. What an operation does at its end happens when its time has come, at the next request to the server, in the order of the ends: so
 *    that a test's clock alone decides.
 * 2. The status URL (Azure-AsyncOperation) tells the status; the result URL (Location) gives 202 until the end and then the result. The
 *    SDK needs the second one for the result of a POST.
 */
import { randomUUID } from "node:crypto";
import { ServiceError } from "./service-error.ts";

/** Which headers tell where to poll: the service gives both, or one of them. */
export type OperationShape = "both" | "location" | "async";

export interface OperationStart {
  /** What it is called in faults: `snapshots/write`, `virtualMachines/deallocate`. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly readyAt: number;
  /** Makes the change and gives the result. Throws ServiceError: the operation has failed. */
  readonly finish: () => unknown;
}

interface Operation extends OperationStart {
  readonly id: string;
  readonly startedAt: number;
  outcome: { readonly kind: "running" } | { readonly kind: "succeeded"; readonly result: unknown } | Failed;
  endedAt: number | undefined;
}

interface Failed {
  readonly kind: "failed";
  readonly error: { readonly code: string; readonly message: string };
}

/** Operations that ended are forgotten after this long, as the service does in the end. */
const keptMs = 24 * 3600 * 1000;

export class Operations {
  readonly #byId = new Map<string, Operation>();

  start(start: OperationStart, now: number): string {
    const id = randomUUID();
    this.#byId.set(id, { ...start, id, startedAt: now, outcome: { kind: "running" }, endedAt: undefined });
    return id;
  }

  /** Ends what is due. */
  settle(now: number): void {
    const due = [...this.#byId.values()].filter(({ outcome, readyAt }) => outcome.kind === "running" && readyAt <= now);
    for (const operation of due.toSorted((one, other) => one.readyAt - other.readyAt)) {
      operation.endedAt = now;
      operation.outcome = outcomeOf(operation);
    }
    for (const { id, endedAt = now } of this.#byId.values()) if (now - endedAt > keptMs) this.#byId.delete(id);
  }

  /** The body of the status URL. */
  status(id: string): Record<string, unknown> {
    const { name: _, startedAt, endedAt, outcome } = this.#require(id);
    const startTime = new Date(startedAt).toISOString();
    if (outcome.kind === "running") return { startTime, status: "InProgress", name: id };
    const endTime = new Date(endedAt ?? startedAt).toISOString();
    if (outcome.kind === "failed") return { startTime, endTime, status: "Failed", error: outcome.error, name: id };
    const output = outcome.result === undefined ? {} : { properties: { output: outcome.result } };
    return { startTime, endTime, status: "Succeeded", ...output, name: id };
  }

  /** What the result URL answers: undefined while it runs. Throws its ServiceError. */
  result(id: string): { readonly value: unknown } | undefined {
    const { outcome } = this.#require(id);
    if (outcome.kind === "running") return undefined;
    if (outcome.kind === "failed") throw new ServiceError(409, outcome.error.code, outcome.error.message);
    return { value: outcome.result };
  }

  #require(id: string): Operation {
    const found = this.#byId.get(id);
    if (found !== undefined) return found;
    throw new ServiceError(404, "OperationNotFound", `The operation ${id} was not found.`);
  }
}

function outcomeOf(operation: Operation): Operation["outcome"] {
  try {
    return { kind: "succeeded", result: operation.finish() };
  } catch (error) {
    if (error instanceof ServiceError) return { kind: "failed", error: { code: error.code, message: error.message } };
    throw error;
  }
}
