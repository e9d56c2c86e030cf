/** Long-running operations as ARM answers them: begun with 201 or 202, looked at by their URLs ("Track asynchronous Azure operations"). */
import type { ArmExchange } from "../../../local/arm/exchange.ts";
import type { FoundPath } from "./arm-specification.ts";
import { checkValue, isObject } from "./check-value.ts";

export type Begun = FoundPath;

const states: ReadonlySet<unknown> = new Set(["InProgress", "Succeeded", "Failed", "Canceled"]);
const place = /\/providers\/[^/]+\/locations\/[^/]+\/(?:\w*operations|\w*operationResults)\/([^/]+)$/i;

/** The answer to the request that begins it. */
export function checkBegun(found: FoundPath, exchange: ArmExchange, begun: Map<string, Begun>): string[] {
  const { headers, isPlanned } = exchange;
  const [status, result] = [headers["azure-asyncoperation"], headers["location"]];
  for (const url of [status, result]) {
    const id = url === undefined ? undefined : place.exec(new URL(url).pathname)?.[1];
    if (id !== undefined) begun.set(id, found);
  }
  const { finalState } = found.operation;
  const problems: string[] = [];
  if (status === undefined && result === undefined)
    problems.push("begins an operation, and says nowhere to look at it");
  else if (!isPlanned && finalState === "location" && result === undefined) problems.push("begins without Location");
  else if (!isPlanned && finalState === "azure-async-operation" && status === undefined) {
    problems.push("begins without Azure-AsyncOperation");
  }
  for (const url of [status, result]) {
    if (url !== undefined && !/^https:\/\/[^?]+\?(.*&)?api-version=/.test(url)) {
      problems.push("begins with a place to look at that is no whole URL with an api-version");
    }
  }
  if (!/^\d+$/.test(headers["retry-after"] ?? "")) problems.push("begins without Retry-After");
  return problems;
}

/** One look at an operation; undefined: the request is none. */
export function checkLook(
  exchange: ArmExchange,
  path: string,
  query: URLSearchParams,
  begun: ReadonlyMap<string, Begun>,
): string[] | undefined {
  const id = exchange.method === "GET" ? place.exec(path)?.[1] : undefined;
  if (id === undefined) return undefined;
  if (exchange.status >= 400) return [];
  const found = begun.get(id);
  if (found === undefined) return ["is given for an operation that nobody began"];
  if (query.get("monitor") === "true" || /operationResults\//i.test(path)) return checkResult(found, exchange);
  return checkStatus(found, exchange);
}

/** Of Location: 202 until the end, and then what a request without waiting would answer. */
function checkResult({ operation, models }: Begun, { status, body, headers }: ArmExchange): string[] {
  if (status === 202) {
    const waits = /^\d+$/.test(headers["retry-after"] ?? "") ? [] : ["is running without Retry-After"];
    return body === undefined ? waits : [...waits, "is running, and has a body"];
  }
  if (![200, 201, 204].includes(status)) return [`has the result with ${status}`];
  if (operation.response === undefined)
    return body === undefined ? [] : [`of ${operation.name} has a body, and needs none`];
  if (body === undefined) return [`of ${operation.name} ends without its result`];
  return checkValue({ models, side: "answer" }, operation.response, body, `the result of ${operation.name}`);
}

/** Of Azure-AsyncOperation. */
function checkStatus({ operation, models }: Begun, { status, body }: ArmExchange): string[] {
  if (status !== 200) return [`answers ${status}`];
  if (!isObject(body) || !states.has(body["status"])) return ["says no known status"];
  const time = { kind: "time" } as const;
  const check = { models, side: "answer" } as const;
  const problems = ["startTime", "endTime"].flatMap((key) =>
    body[key] === undefined ? [] : checkValue(check, time, body[key], key),
  );
  const ended = body["status"] !== "InProgress";
  if (ended && body["endTime"] === undefined) problems.push("has ended without endTime");
  if (body["status"] === "Failed" && !(isObject(body["error"]) && typeof body["error"]["code"] === "string")) {
    problems.push("has failed without an error");
  }
  const known = ["startTime", "endTime", "status", "name", "id", "error", "properties", "percentComplete"];
  problems.push(...Object.keys(body).flatMap((key) => (known.includes(key) ? [] : [`has ${key}, which is not known`])));
  const output = isObject(body["properties"]) ? body["properties"]["output"] : undefined;
  if (output === undefined || operation.response === undefined) return problems;
  return [...problems, ...checkValue(check, operation.response, output, `the output of ${operation.name}`)];
}
