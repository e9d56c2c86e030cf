/**
 * Holds every exchange with Azure Resource Manager against the official specifications: whoever asks must ask as they say, and whoever answers
 * must answer so.
 *
 * 1. The operation is known, its api-version is the one of the SDK, its query parameters and its body are those of the specification.
 * 2. The answer has a status of the operation, and a body of its type. An error is a CloudError; 429 of compute is documented flat.
 * 3. An operation that has only begun says where to look at it ("Track asynchronous Azure operations"): there its end is checked, too.
 */
import type { ArmExchange } from "../../../local/arm/exchange.ts";
import { findOperation, type FoundPath } from "./arm-specification.ts";
import { checkBegun, checkLook, type Begun } from "./begun-operations.ts";
import { checkValue, isObject } from "./check-value.ts";

export class ExchangeCheck {
  readonly #findings = new Set<string>();
  readonly #exercised = new Set<string>();
  readonly #begun = new Map<string, Begun>();

  /** Each distinct one once: the operation and its problem. */
  get findings(): readonly string[] {
    return [...this.#findings];
  }

  /** The operations of the specification that were answered without an error. */
  get exercised(): ReadonlySet<string> {
    return this.#exercised;
  }

  see(exchange: ArmExchange): void {
    const { pathname, searchParams } = new URL(exchange.url, "http://arm");
    const path = decodeURIComponent(pathname);
    const look = checkLook(exchange, path, searchParams, this.#begun);
    if (look !== undefined) {
      this.#tell("the status of an operation", look);
      return;
    }
    const found = findOperation(exchange.method, path);
    if (found === undefined) {
      const kind = path.replaceAll(/(?<=\/(?:subscriptions|resourceGroups|\w+s)\/)[^/]+(?=\/|$)/gi, "…");
      this.#tell(`${exchange.method} ${kind}`, ["is not an operation of the specification"]);
      return;
    }
    const { operation } = found;
    // A request that is refused may be wrong: that is why it is.
    const refused = exchange.status >= 400;
    if (!refused) this.#exercised.add(operation.name);
    const asked = refused ? [] : [...checkQuery(found, searchParams), ...checkRequest(found, exchange)];
    this.#tell(operation.name, [...asked, ...this.#checkAnswer(found, exchange)]);
  }

  #checkAnswer(found: FoundPath, exchange: ArmExchange): readonly string[] {
    const { operation, models } = found;
    const { status, headers, body } = exchange;
    if (status >= 400) return checkError(exchange);
    if (!operation.statuses.includes(status)) {
      return [`answers ${status}, and the specification knows ${operation.statuses.join(", ")}`];
    }
    const places = headers["azure-asyncoperation"] ?? headers["location"];
    const begun = operation.finalState !== undefined && (status === 202 || status === 201 || places !== undefined);
    const problems = begun ? checkBegun(found, exchange, this.#begun) : [];
    if (body === undefined) {
      const isDone = status === 200 || status === 201;
      return isDone && operation.response !== undefined && !begun ? [...problems, "answers without a body"] : problems;
    }
    if (status === 204) return [...problems, "answers 204 with a body"];
    if (operation.response === undefined) return [...problems, "answers with a body, and the specification knows none"];
    return [...problems, ...checkValue({ models, side: "answer" }, operation.response, body, "answer")];
  }

  #tell(name: string, problems: readonly string[]): void {
    for (const problem of problems) this.#findings.add(`${name}: ${problem}`);
  }
}

function checkQuery({ operation }: FoundPath, query: URLSearchParams): string[] {
  const version = query.get("api-version");
  const wrong =
    version === operation.apiVersion ? [] : [`asks for api-version ${version}, and it is ${operation.apiVersion}`];
  // What a link to the next page holds is the service's own matter.
  const own = operation.paged ? ["$skiptoken"] : [];
  const unknown = [...query.keys()].filter((key) => ![...operation.query, ...own].includes(key));
  return [...wrong, ...unknown.map((key) => `asks with the query parameter ${key}, which is not known`)];
}

function checkRequest({ operation, models }: FoundPath, { requestBody }: ArmExchange): string[] {
  if (requestBody === undefined) return operation.requestRequired ? ["asks without a body"] : [];
  if (operation.request === undefined) return ["asks with a body, and the specification knows none"];
  return checkValue({ models, side: "request" }, operation.request, requestBody, "request");
}

/** "Common API details for ARM errors"; the flat one: "Troubleshoot API throttling errors" of compute. */
function checkError({ status, body, headers, isPlanned }: ArmExchange): string[] {
  if (isPlanned) return [];
  const flat = status === 429 && isObject(body) && body["error"] === undefined;
  const error = isObject(body) ? (flat ? body : body["error"]) : undefined;
  const hasTime = status !== 429 || /^\d+$/.test(headers["retry-after"] ?? "");
  const endless = hasTime ? [] : ["answers 429 without Retry-After"];
  if (!isObject(error)) return [...endless, `answers ${status} without an error in its body`];
  const known = ["code", "message", "target", "details", "innererror", "additionalInfo"];
  const texts = ["code", "message"].filter((key) => typeof error[key] !== "string" || error[key] === "");
  const others = Object.keys(error).filter((key) => !known.includes(key));
  return [
    ...endless,
    ...texts.map((key) => `answers ${status} with an error without ${key}`),
    ...others.map((key) => `answers ${status} with an error that has ${key}`),
  ];
}
