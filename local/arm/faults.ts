/** What a test makes go wrong. Each planned fault happens once, and a test can ask whether it did: one that was never reached proves nothing. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ToldRange } from "./disks/page-map.ts";
import type { ServiceError } from "./service-error.ts";
import type { OperationShape } from "./operations.ts";

export type OperationFault = { readonly kind: "fails"; readonly error: ServiceError } | { readonly kind: "never-ends" };

interface Plan<T> {
  readonly matches: (name: string) => boolean;
  readonly fault: T;
  left: number;
  happened: number;
}

/** Tells whether, and how often, the fault has happened. */
export interface FaultHandle {
  readonly happened: () => number;
  /** It does not happen any more: a lock that is lifted. */
  readonly lift: () => void;
}

export class ArmFaults {
  readonly #operations: Plan<OperationFault>[] = [];
  readonly #requests: Plan<ServiceError | "reset">[] = [];
  #shape: (name: string) => OperationShape = () => "both";
  /** Of the SAS endpoint: what it throws is the answer, and it may destroy the connection. */
  beforeData: (request: IncomingMessage, response: ServerResponse) => Promise<void> = async () => undefined;

  /** What a list of changed ranges tells, where it is to be wrong. */
  changedRanges: (ranges: readonly ToldRange[]) => readonly ToldRange[] = (ranges) => ranges;

  /** Operations of this name (`snapshots/write`) end so. */
  planOperation(name: string, fault: OperationFault, times = 1): FaultHandle {
    return add(this.#operations, (seen) => seen === name, fault, times);
  }

  /** Requests whose `METHOD path` matches are answered so, before anything happens. */
  planRequest(pattern: RegExp, fault: ServiceError | "reset", times = 1): FaultHandle {
    return add(this.#requests, (seen) => pattern.test(seen), fault, times);
  }

  /** Which headers the operations of a name answer with. */
  planShapes(shape: (name: string) => OperationShape): void {
    this.#shape = shape;
  }

  ofOperation(name: string): OperationFault | undefined {
    return take(this.#operations, name);
  }

  ofRequest(methodAndPath: string): ServiceError | "reset" | undefined {
    return take(this.#requests, methodAndPath);
  }

  shapeOf(name: string): OperationShape {
    return this.#shape(name);
  }
}

function add<T>(plans: Plan<T>[], matches: (name: string) => boolean, fault: T, times: number): FaultHandle {
  const plan = { matches, fault, left: times, happened: 0 };
  plans.push(plan);
  return { happened: () => plan.happened, lift: () => void (plan.left = 0) };
}

function take<T>(plans: readonly Plan<T>[], name: string): T | undefined {
  const plan = plans.find(({ matches, left }) => left > 0 && matches(name));
  if (plan === undefined) return undefined;
  plan.left -= 1;
  plan.happened += 1;
  return plan.fault;
}
