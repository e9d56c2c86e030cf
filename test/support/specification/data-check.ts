/**
 * Holds every exchange with the SAS of a disk against the specification of the blob service: what is asked of a page blob, and what it answers.
 * Not every operation of a page blob is allowed on a disk: those are refused, and a refusal is only held against its form.
 */
import type { ArmExchange } from "../../../local/arm/exchange.ts";
import { type BlobOperation, readBlobOperations } from "./blob-specification.ts";

export type DataExchange = Pick<ArmExchange, "method" | "url" | "status" | "headers" | "body"> & {
  /** Lower-case names. */
  readonly requestHeaders: Readonly<Record<string, string | undefined>>;
};

/** "Create a service SAS": what a URL brings along by itself. */
const ofSas: ReadonlySet<string> = new Set(["sv", "sr", "sp", "se", "si", "sig", "spr", "sip", "st"]);

export class DataCheck {
  readonly #operations: readonly BlobOperation[];
  readonly #findings = new Set<string>();
  readonly #exercised = new Set<string>();

  private constructor(operations: readonly BlobOperation[]) {
    this.#operations = operations;
  }

  static async open(): Promise<DataCheck> {
    return new DataCheck(await readBlobOperations());
  }

  /** Each distinct one once. No URL is repeated: it is a secret. */
  get findings(): readonly string[] {
    return [...this.#findings];
  }

  /** Operations that were answered without an error, by their names in the SDK. */
  get exercised(): ReadonlySet<string> {
    return this.#exercised;
  }

  see(exchange: DataExchange): void {
    if (exchange.status >= 400) {
      for (const problem of checkRefusal(exchange)) this.#findings.add(`a refusal: ${problem}`);
      return;
    }
    // Two operations may look alike but for a header: it is the one that fits best.
    const [best] = this.#operations
      .filter((operation) => isMeant(operation, exchange))
      .map((operation) => ({ operation, problems: checkRequest(operation, exchange) }))
      .toSorted((one, other) => one.problems.length - other.problems.length);
    if (best === undefined) {
      this.#findings.add(`${exchange.method} is no operation of a page blob`);
      return;
    }
    const { operation, problems } = best;
    this.#exercised.add(operation.name);
    for (const problem of [...problems, ...checkAnswer(operation, exchange)]) {
      this.#findings.add(`${operation.name}: ${problem}`);
    }
  }
}

function queryOf({ url }: DataExchange): Map<string, string> {
  return new Map([...new URL(url, "http://disk").searchParams].filter(([name]) => !ofSas.has(name)));
}

/** What it always has, the request has, and nothing else in its place. */
function isMeant({ method, query, headers }: BlobOperation, exchange: DataExchange): boolean {
  const asked = queryOf(exchange);
  const sameQuery = query.every(({ name, always }) => always === undefined || asked.get(name) === always);
  const sameHeaders = headers.every(({ name, always }) => {
    return always === undefined || !/^x-ms-(?!version)/.test(name) || exchange.requestHeaders[name] === always;
  });
  const named = asked.has("comp") === query.some(({ name }) => name === "comp");
  return method === exchange.method && sameQuery && sameHeaders && named;
}

function checkRequest({ query, headers }: BlobOperation, exchange: DataExchange): string[] {
  const asked = [...queryOf(exchange).keys()].filter((key) => query.every(({ name }) => name !== key));
  const given = Object.keys(exchange.requestHeaders).filter((key) => key.startsWith("x-ms-"));
  const unknown = given.filter((key) => headers.every(({ name }) => name !== key));
  const missing = headers.filter(({ name, required }) => required && exchange.requestHeaders[name] === undefined);
  return [
    ...asked.map((key) => `asks with the query parameter ${key}, which is not known`),
    ...unknown.map((key) => `asks with the header ${key}, which is not known`),
    ...missing.map(({ name }) => `asks without ${name}`),
  ];
}

function checkAnswer({ statuses, answered }: BlobOperation, exchange: DataExchange): string[] {
  const { status, headers, body } = exchange;
  const problems = statuses.includes(status)
    ? []
    : [`answers ${status}, and the specification knows ${statuses.join(", ")}`];
  for (const [name, value] of Object.entries(headers)) {
    const header = answered.get(name);
    if (header === undefined && name.startsWith("x-ms-")) problems.push(`answers with the header ${name}`);
    if (header?.isNumber === true && !/^\d+$/.test(value ?? "")) problems.push(`answers ${name} that is no number`);
  }
  if (typeof body === "string") problems.push(...checkPageList(body));
  return problems;
}

const range = String.raw`<(PageRange|ClearRange)><Start>\d+</Start><End>\d+</End></\1>`;
const pageList = new RegExp(
  String.raw`^<\?xml version="1.0" encoding="utf-8"\?><PageList>(?:${range})*(?:<NextMarker/>|<NextMarker>[^<]*</NextMarker>)?</PageList>$`,
);

/** "Get Page Ranges": ranges of both kinds in any order, multiples of a page, their ends inclusive. */
function checkPageList(body: string): string[] {
  if (!pageList.test(body)) return ["answers with no list of page ranges"];
  const odd = [...body.matchAll(/<Start>(\d+)<\/Start><End>(\d+)<\/End>/g)].filter(([, start, end]) => {
    return Number(start) % 512 !== 0 || (Number(end) + 1) % 512 !== 0 || Number(end) < Number(start);
  });
  return odd.length === 0 ? [] : ["answers with ranges that are no whole pages"];
}

/** "Status and error codes" of the storage services. */
function checkRefusal({ method, headers, body }: DataExchange): string[] {
  const code = headers["x-ms-error-code"] ?? "";
  const problems = /^\w+$/.test(code) ? [] : ["has no x-ms-error-code"];
  const told =
    typeof body === "string" ? /<Error><Code>(\w+)<\/Code><Message>[^<]+<\/Message><\/Error>$/.exec(body) : null;
  if (method === "HEAD" || told?.[1] === code) return problems;
  return [...problems, "has no error in its body, or another one than in its header"];
}
