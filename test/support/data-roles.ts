/**
 * Role-based access of storage in front of the emulator, which knows none: a proxy refuses what no role allows. Which action a request is, says
 * "Authorize with Microsoft Entra ID (REST API)": its tables of permissions for Blob, Queue and Table service operations.
 */
import { allowsAction, allowsDataAction, type RoleDefinition } from "../../local/arm/role-definition.ts";
import { isConditionMet } from "./role-condition.ts";
import type { SeenRequest, StorageProxy } from "./storage-proxy.ts";

export interface DataRole {
  readonly role: RoleDefinition;
  /** Of its assignment. */
  readonly condition?: string | undefined;
}

interface Needed {
  /** One of them is enough. */
  readonly anyOf: readonly string[];
  /** Of the control plane, though it goes to the storage service. */
  readonly isControl?: boolean;
  readonly blobPath?: string;
}

type Service = "blob" | "queue" | "table";

export interface EnforcedRoles {
  /** `action path` of what was refused. */
  readonly refused: string[];
  /** The actions of what was allowed. */
  readonly used: Set<string>;
  /** From now on. */
  assign(...roles: readonly DataRole[]): void;
}

/** Everything is refused until roles are assigned. */
export function enforceRoles(proxy: StorageProxy, service: Service): EnforcedRoles {
  const refused: string[] = [];
  const used = new Set<string>();
  let assigned: readonly DataRole[] = [];
  const isRefused = (request: SeenRequest): boolean => {
    const { anyOf, isControl = false, blobPath = "" } = needed[service](request);
    const allows = isControl ? allowsAction : allowsDataAction;
    const action = anyOf.find((one) =>
      assigned.some(
        ({ role, condition }) =>
          allows(role, one) && (condition === undefined || isConditionMet(condition, { action: one, blobPath })),
      ),
    );
    if (action === undefined) refused.push(`${anyOf[0]?.split("/").slice(-2).join("/") ?? ""} ${blobPath}`.trim());
    else used.add(action);
    return action === undefined;
  };
  const answer = { kind: "answer", status: 403, code: "AuthorizationPermissionMismatch" } as const;
  proxy.inject(isRefused, answer, Number.POSITIVE_INFINITY);
  return { refused, used, assign: (...roles) => void (assigned = roles) };
}

const accounts = "Microsoft.Storage/storageAccounts";
const blobs = `${accounts}/blobServices/containers/blobs`;
const queues = `${accounts}/queueServices/queues`;
const tables = `${accounts}/tableServices/tables`;

const needed: Readonly<Record<Service, (request: SeenRequest) => Needed>> = {
  blob(request) {
    const { method, path, query, headers } = request;
    // An emulator's paths begin with the account.
    const [, , container = "", ...names] = path.split("/").map(decodeURIComponent);
    const blobPath = names.join("/");
    const comp = query.get("comp");
    if (query.get("restype") === "container" && comp === null && method === "PUT") {
      return { anyOf: [`${accounts}/blobServices/containers/write`], isControl: true };
    }
    if (comp === "list" && container !== "") return { anyOf: [`${blobs}/read`] };
    if (blobPath === "") throw unknown(request);
    if (method === "GET" || method === "HEAD") return { anyOf: [`${blobs}/read`], blobPath };
    if (method === "DELETE") return { anyOf: [`${blobs}/delete`], blobPath };
    if (method === "PUT" && comp === "metadata") return { anyOf: [`${blobs}/write`], blobPath };
    if (method !== "PUT" || comp !== null) throw unknown(request);
    // To add is enough for what is new: only the condition says here that it is.
    const isNew = headers["if-none-match"] === "*";
    return { anyOf: [...(isNew ? [`${blobs}/add/action`] : []), `${blobs}/write`], blobPath };
  },
  queue(request) {
    const { method, path, query } = request;
    const [, , , messages, message] = path.split("/");
    if (messages === undefined) {
      if (method === "PUT") return { anyOf: [`${queues}/write`], isControl: true };
      if (method === "DELETE") return { anyOf: [`${queues}/delete`], isControl: true };
      if (method === "GET" || method === "HEAD") return { anyOf: [`${queues}/read`], isControl: true };
    } else if (method === "POST") return { anyOf: [`${queues}/messages/add/action`, `${queues}/messages/write`] };
    else if (method === "PUT") return { anyOf: [`${queues}/messages/write`] };
    else if (method === "GET" && query.get("peekonly") === "true") return { anyOf: [`${queues}/messages/read`] };
    else if (method === "GET") return { anyOf: [`${queues}/messages/process/action`] };
    else if (method === "DELETE" && message !== undefined) {
      return { anyOf: [`${queues}/messages/process/action`, `${queues}/messages/delete`] };
    }
    throw unknown(request);
  },
  table(request) {
    const { method, path, headers } = request;
    const [, , resource = ""] = path.split("/");
    if (resource === "Tables" && method === "POST") return { anyOf: [`${tables}/write`], isControl: true };
    if (method === "POST" && !resource.startsWith("$")) return { anyOf: [`${tables}/entities/add/action`] };
    if (resource.startsWith("Tables(") && method === "DELETE") return { anyOf: [`${tables}/delete`], isControl: true };
    if (method === "GET") return { anyOf: [`${tables}/entities/read`] };
    if (method === "DELETE") return { anyOf: [`${tables}/entities/delete`] };
    if ((method === "PUT" || method === "PATCH") && headers["if-match"] !== undefined) {
      return { anyOf: [`${tables}/entities/update/action`] };
    }
    throw unknown(request);
  },
};

function unknown({ method, path, query }: SeenRequest): Error {
  return new Error(`Which permission is this? ${method} ${path}?${query.toString()}`);
}
