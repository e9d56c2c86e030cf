/** What a request to a SAS URL of a managed disk asks for, parsed; everything else about it is refused. */
import { ServiceError } from "../service-error.ts";
import { mostRanges } from "./page-list.ts";

export interface ByteSpan {
  readonly start: number;
  /** Not part of it. */
  readonly end: number;
}

export type DataRequest =
  | { readonly kind: "properties" }
  | { readonly kind: "read"; readonly span: ByteSpan | undefined }
  | {
      readonly kind: "list";
      readonly span: ByteSpan | undefined;
      readonly previousUrl: string | undefined;
      readonly marker: number;
      readonly maxResults: number;
    }
  | { readonly kind: "write"; readonly span: ByteSpan }
  | { readonly kind: "clear"; readonly span: ByteSpan };

export interface RawRequest {
  readonly method: string;
  readonly query: URLSearchParams;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** Throws ServiceError. */
export function parseDataRequest({ method, query, headers }: RawRequest): DataRequest {
  const comp = query.get("comp") ?? undefined;
  const span = parseSpan(headers["x-ms-range"] ?? headers["range"]);
  if (query.has("prevsnapshot") || query.has("snapshot")) {
    throw new ServiceError(400, "InvalidQueryParameterValue", "The disks of a managed account have no blob snapshots.");
  }
  if (method === "HEAD" && comp === undefined) return { kind: "properties" };
  if (method === "GET" && comp === undefined) return { kind: "read", span };
  if (method === "GET" && comp === "pagelist") return parseList(query, headers, span);
  if (method === "PUT" && comp === "page") return parseWrite(headers, span);
  throw new ServiceError(
    403,
    "AuthorizationPermissionMismatch",
    `${method} ${comp ?? ""} is not allowed on a managed disk.`,
  );
}

function parseList(
  query: URLSearchParams,
  headers: RawRequest["headers"],
  span: ByteSpan | undefined,
): Extract<DataRequest, { kind: "list" }> {
  const previousUrl = headers["x-ms-previous-snapshot-url"];
  const version = headers["x-ms-version"] ?? "";
  // Versions are dates: they compare as text. The SDKs of three languages refuse the header below this one.
  if (previousUrl !== undefined && version < "2019-07-07") {
    throw new ServiceError(409, "FeatureVersionMismatch", "x-ms-previous-snapshot-url needs x-ms-version 2019-07-07.");
  }
  const maxResults = wholeNumber(query.get("maxresults")) ?? mostRanges;
  if (maxResults < 1) throw new ServiceError(400, "OutOfRangeQueryParameterValue", "maxresults is at least 1.");
  const marker = wholeNumber(query.get("marker")) ?? 0;
  return { kind: "list", span, previousUrl, marker, maxResults: Math.min(maxResults, mostRanges) };
}

/** The most that one Put Page may bring. */
const mostWritten = 4 * 1024 * 1024;

function parseWrite(headers: RawRequest["headers"], span: ByteSpan | undefined): DataRequest {
  const kind = headers["x-ms-page-write"]?.toLowerCase();
  if (span === undefined) throw new ServiceError(400, "MissingRequiredHeader", "Put Page needs a range.");
  if (span.start % 512 !== 0 || span.end % 512 !== 0)
    throw new ServiceError(416, "InvalidPageRange", "Pages have 512 bytes.");
  if (kind === "clear") return { kind: "clear", span };
  if (kind !== "update") throw new ServiceError(400, "InvalidHeaderValue", "x-ms-page-write is update or clear.");
  if (span.end - span.start > mostWritten)
    throw new ServiceError(413, "RequestBodyTooLarge", "Put Page takes up to 4 MiB.");
  // Documented for direct upload: the check sum that other page blobs take is refused.
  if (headers["content-md5"] !== undefined)
    throw new ServiceError(400, "UnsupportedHeader", "Content-MD5 is not supported.");
  return { kind: "write", span };
}

function parseSpan(text: string | undefined): ByteSpan | undefined {
  if (text === undefined) return undefined;
  const match = /^bytes=(\d+)-(\d*)$/.exec(text);
  if (match === null) throw new ServiceError(416, "InvalidRange", `The range ${text} is not one.`);
  const start = Number(match[1]);
  const end = match[2] === "" ? Number.MAX_SAFE_INTEGER : Number(match[2]) + 1;
  if (end <= start) throw new ServiceError(416, "InvalidRange", `The range ${text} ends before it begins.`);
  return { start, end };
}

function wholeNumber(text: string | null): number | undefined {
  if (text === null || text === "") return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new ServiceError(400, "InvalidQueryParameterValue", `${text} is no number.`);
  return Number(text);
}
