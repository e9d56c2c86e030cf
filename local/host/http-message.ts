/** HTTP between the wire and the worker: requests read whole, answers written whole. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpCookie, HttpData, TypedData } from "./worker-protocol.ts";

/** The whole body; "too-large" where it is longer than `limitBytes`, or says that it will be. */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer | "too-large"> {
  if (Number(request.headers["content-length"] ?? 0) > limitBytes) return "too-large";
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limitBytes) return "too-large";
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** @param url absolute. Headers and query values that occur several times are joined by commas, as the real host does. */
export function requestData(
  request: IncomingMessage,
  url: URL,
  params: Readonly<Record<string, string>>,
  body: Buffer,
): TypedData {
  const headers = Object.entries(request.headers).map(([name, value]) => [name, [value ?? ""].flat().join(",")]);
  const query = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    const before = query.get(name);
    query.set(name, before === undefined ? value : `${before},${value}`);
  }
  const http: HttpData = {
    method: request.method ?? "GET",
    url: url.href,
    headers: Object.fromEntries(headers) as Record<string, string>,
    params,
    query: Object.fromEntries(query),
    ...(body.length === 0 ? {} : { body: { bytes: body } }),
  };
  return { http };
}

/** Headers that belong to this connection and not to the function's answer. */
const ownHeaders = new Set(["connection", "keep-alive", "transfer-encoding", "content-length", "upgrade"]);

/** Writes what the function answered; nothing answered is 204. */
export function writeAnswer(response: ServerResponse, returnValue: TypedData | undefined): void {
  const http = returnValue?.http;
  if (http === undefined) {
    response.writeHead(204).end();
    return;
  }
  const bytes = Buffer.from(http.body?.bytes ?? http.body?.string ?? "");
  for (const [name, value] of Object.entries(http.headers ?? {})) {
    if (!ownHeaders.has(name.toLowerCase())) response.setHeader(name, value);
  }
  const cookies = (http.cookies ?? []).map(cookieText);
  if (cookies.length > 0) response.setHeader("set-cookie", cookies);
  response.statusCode = Number(http.statusCode ?? 200);
  const bodyless = response.statusCode === 204 || response.statusCode === 304;
  if (!bodyless) response.setHeader("content-length", bytes.length);
  response.end(bodyless ? undefined : bytes);
}

function cookieText(cookie: HttpCookie): string {
  const parts = [`${cookie.name}=${cookie.value}`];
  const seconds = cookie.expires?.value?.seconds;
  if (seconds !== undefined) parts.push(`expires=${new Date(seconds * 1000).toUTCString()}`);
  if (cookie.maxAge?.value !== undefined) parts.push(`max-age=${cookie.maxAge.value}`);
  if (cookie.domain?.value !== undefined) parts.push(`domain=${cookie.domain.value}`);
  if (cookie.path?.value !== undefined) parts.push(`path=${cookie.path.value}`);
  if (cookie.secure?.value === true) parts.push("secure");
  if (cookie.sameSite === "lax" || cookie.sameSite === "strict") parts.push(`samesite=${cookie.sameSite}`);
  if (cookie.sameSite === "explicitNone") parts.push("samesite=none");
  if (cookie.httpOnly?.value === true) parts.push("httponly");
  return parts.join("; ");
}
