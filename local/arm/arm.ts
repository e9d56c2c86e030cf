/** What the handlers of the local ARM work with, and how they answer. */
import type { DiskStore } from "./disks/disk-store.ts";
import type { Grants } from "./data/grants.ts";
import type { ArmFaults } from "./faults.ts";
import type { OperationShape, Operations } from "./operations.ts";
import type { RegionOffers } from "./region-offers.ts";
import type { Json, Resource, Resources } from "./resources.ts";
import { ServiceError } from "./service-error.ts";

export interface Arm {
  readonly resources: Resources;
  readonly store: DiskStore;
  readonly grants: Grants;
  readonly operations: Operations;
  readonly faults: ArmFaults;
  readonly offers: RegionOffers;
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
  /** If-None-Match: what is there already is not changed. */
  readonly onlyNew: boolean;
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
      readonly status: 201 | 202;
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
  answer: { readonly status?: 201 | 202; readonly first?: unknown } = {},
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

/** Throws what ARM answers to a request that must only make something new. */
export function refuseStanding(arm: Arm, { id, onlyNew }: ArmCall): void {
  if (!onlyNew || arm.resources.get(id) === undefined) return;
  throw new ServiceError(412, "PreconditionFailed", `The condition of the request is not met: ${id} exists already.`);
}

/** It shows that it is being removed, until it is gone, or stays. */
export function acceptRemoval(arm: Arm, name: string, { id }: Resource): Reply {
  arm.resources.change(id, { provisioningState: "Deleting" });
  const finish = (): undefined => {
    arm.resources.remove(id);
    return undefined;
  };
  const onFailure = (): void => void arm.resources.change(id, { provisioningState: "Failed" });
  return accept(arm, { name, finish, onFailure });
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
