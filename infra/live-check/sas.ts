/** The bytes behind a SAS, asked for without the SDK: what is to be found out is what the service itself answers. No error shows a SAS. */
import { PageListParser } from "../../shared/adapters/azure/managed/page-list-parser.ts";

const serviceVersion = "2025-01-05";

export interface Span {
  readonly offset: number;
  readonly length: number;
}

export interface PageListAnswer {
  readonly status: number;
  /** The service's own code, where it refused. */
  readonly code: string;
  readonly ranges: readonly Span[];
  readonly marker: string;
}

export interface PageListQuestion {
  /** The SAS of an older snapshot, to compare with. */
  readonly previous?: string;
  readonly maxResults?: number;
  readonly marker?: string;
}

export async function pageList(sas: string, asked: PageListQuestion, signal: AbortSignal): Promise<PageListAnswer> {
  const url = new URL(sas);
  url.searchParams.set("comp", "pagelist");
  if (asked.maxResults !== undefined) url.searchParams.set("maxresults", String(asked.maxResults));
  if (asked.marker !== undefined) url.searchParams.set("marker", asked.marker);
  const headers = asked.previous === undefined ? {} : { "x-ms-previous-snapshot-url": asked.previous };
  const response = await request(url, headers, signal);
  const text = await response.text();
  if (!response.ok) {
    return { status: response.status, code: response.headers.get("x-ms-error-code") ?? "", ranges: [], marker: "" };
  }
  const parser = new PageListParser();
  // Both ends are part of a range.
  const ranges = [...parser.feed(text)].map(({ start, end }) => ({ offset: start, length: end - start + 1 }));
  parser.end();
  return { status: response.status, code: "", ranges, marker: parser.marker };
}

/** Every page. Undefined where the service refuses. */
export async function allPages(
  sas: string,
  asked: PageListQuestion,
  signal: AbortSignal,
): Promise<PageListAnswer & { readonly pages: number }> {
  let page = await pageList(sas, asked, signal);
  const ranges = [...page.ranges];
  let pages = 1;
  while (page.marker !== "" && pages < 1000) {
    page = await pageList(sas, { ...asked, marker: page.marker }, signal);
    ranges.push(...page.ranges);
    pages++;
  }
  return { ...page, ranges, pages };
}

export async function blobLength(sas: string, signal: AbortSignal): Promise<number> {
  const response = await request(new URL(sas), {}, signal, "HEAD");
  if (!response.ok) throw new Error(`The blob behind a SAS does not tell its length: ${response.status}.`);
  return Number(response.headers.get("content-length"));
}

export async function readBytes(sas: string, { offset, length }: Span, signal: AbortSignal): Promise<Uint8Array> {
  const response = await request(new URL(sas), { "x-ms-range": `bytes=${offset}-${offset + length - 1}` }, signal);
  if (!response.ok) throw new Error(`A read behind a SAS was refused: ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

async function request(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  method = "GET",
): Promise<Response> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(120_000)]);
  try {
    return await fetch(url, {
      method,
      headers: { "x-ms-version": serviceVersion, ...headers },
      signal: bounded,
      redirect: "error",
    });
  } catch {
    if (signal.aborted) throw signal.reason;
    // The error of the network may quote the URL.
    throw new Error("A request behind a SAS got no answer.");
  }
}
