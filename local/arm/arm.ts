/** What the handlers of the local ARM work with, and how they answer. */
import type { DiskStore } from "./disks/disk-store.ts";
import type { Grants } from "./data/grants.ts";
import type { ArmFaults } from "./faults.ts";
import type { OperationShape, Operations } from "./operations.ts";
import type { Json, Resources } from "./resources.ts";

export interface Arm {
  readonly resources: Resources;
  readonly store: DiskStore;
  readonly grants: Grants;
  readonly operations: Operations;
  readonly faults: ArmFaults;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** How long an operation of this name takes, in milliseconds. */
  readonly takes: (operation: string) => number;
  /** The base of SAS URLs, without a slash at the end. */
  readonly dataUrl: () => string;
}

export interface ArmCall {
  readonly method: string;
  /** Path parameters by the names of the template. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Json;
  /** The path without the action: the resource that it speaks of. */
  readonly id: string;
}

export type Reply =
  | { readonly kind: "done"; readonly status: 200 | 201 | 202 | 204; readonly body?: unknown }
  /** `first` is the answer while the operation has only begun; POST and DELETE have none. */
  | {
      readonly kind: "accepted";
      readonly operationId: string;
      readonly shape: OperationShape;
      /** 200 where a VM that stands is changed: then its headers alone tell that it has only begun. */
      readonly status: 200 | 201 | 202;
      readonly first?: unknown;
    };

export type Handler = (arm: Arm, call: ArmCall) => Reply | Promise<Reply>;

export interface Route {
  readonly method: "GET" | "PUT" | "PATCH" | "POST" | "DELETE";
  /** As the specifications write it, from `/subscriptions` on. */
  readonly template: string;
  readonly handle: Handler;
}

/** Begins an operation whose change happens at its end; a fault planned for it decides its end. */
export function accept(
  arm: Arm,
  operation: { readonly name: string; readonly finish: () => unknown; readonly onFailure?: () => void },
  answer: { readonly status?: 200 | 201 | 202; readonly first?: unknown } = {},
): Reply {
  const { name, finish, onFailure } = operation;
  const fault = arm.faults.ofOperation(name);
  const failing = (): never => {
    onFailure?.();
    throw fault?.kind === "fails" ? fault.error : new Error("There is no fault.");
  };
  const readyAt = fault?.kind === "never-ends" ? Number.POSITIVE_INFINITY : arm.now() + arm.takes(name);
  const start = { name, readyAt, finish: fault?.kind === "fails" ? failing : finish };
  const operationId = arm.operations.start(start, arm.now());
  return {
    kind: "accepted",
    operationId,
    shape: arm.faults.shapeOf(name),
    status: answer.status ?? 202,
    first: answer.first,
  };
}

export function ok(body: unknown): Reply {
  return { kind: "done", status: 200, body };
}

/**
 * URLs of its own that this server names. A client must send what goes there to this server instead: the SDK gives its token to https alone,
 * so that a client for it keeps the real address and has its requests sent elsewhere.
 */
export const armOrigin = "https://management.azure.com";

/** A list in pages, as ARM gives it: `nextLink` names the next page by its skip token. */
export function page(call: ArmCall, items: readonly Json[], pageSize: number, path: string): Reply {
  const from = Number(call.query.get("$skiptoken") ?? 0);
  const rest = new URLSearchParams(call.query);
  rest.set("$skiptoken", String(from + pageSize));
  const more = from + pageSize < items.length;
  const value = items.slice(from, from + pageSize);
  return ok({ value, ...(more ? { nextLink: `${armOrigin}${path}?${rest.toString()}` } : {}) });
}
