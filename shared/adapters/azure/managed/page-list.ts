/**
 * Get Page Ranges on the SAS of a managed disk, whole or against an older snapshot. Our own call: the SDK's one for managed disks has no
 * pages, so that beyond 10,000 ranges the rest would be missing in silence, and its lengths are a byte short (docs/azure.md).
 */
import { FarsideError } from "../../../core/errors.ts";
import type { ListedRange } from "../page-ranges.ts";
import type { RangeLister } from "../page-range-list.ts";
import { PageListParser } from "./page-list-parser.ts";

/** The newest of which we have the specification; the header needs 2019-07-07, the marker 2020-10-02. */
const serviceVersion = "2025-01-05";
const mostRanges = 10_000;
const callLimitMs = 60_000;
/** A range's element takes about 80 bytes. */
const longestAnswerBytes = 16 * 1024 * 1024;

/** Calls with the SAS of the snapshot and, where it is compared, that of the older one. */
export type WithUrls = <T>(call: (urls: readonly string[]) => Promise<T>) => Promise<T>;

/** `what` names the snapshot in messages. The URLs hold signatures: no error shows them. */
export function pageLister(withUrls: WithUrls, what: string, signal: AbortSignal): RangeLister {
  return async function* ({ fromByte, toByte }) {
    let marker = "";
    do {
      const asked = { fromByte, toByte, marker };
      const page = await withUrls(([sas = "", previousSas]) => askPage({ ...asked, sas, previousSas }, what, signal));
      yield page.ranges;
      if (page.marker !== "" && page.marker === marker) {
        throw new FarsideError(
          "source-corrupt",
          `The service gives the same page of the ranges of ${what} again and again.`,
        );
      }
      ({ marker } = page);
    } while (marker !== "");
  };
}

interface AskedPage {
  readonly sas: string;
  readonly previousSas: string | undefined;
  readonly fromByte: number;
  readonly toByte: number;
  readonly marker: string;
}

async function askPage(
  { sas, previousSas, fromByte, toByte, marker }: AskedPage,
  what: string,
  signal: AbortSignal,
): Promise<{ readonly ranges: readonly ListedRange[]; readonly marker: string }> {
  signal.throwIfAborted();
  const url = new URL(sas);
  url.searchParams.set("comp", "pagelist");
  url.searchParams.set("maxresults", String(mostRanges));
  if (marker !== "") url.searchParams.set("marker", marker);
  const headers = {
    "x-ms-version": serviceVersion,
    "x-ms-range": `bytes=${fromByte}-${toByte - 1}`,
    ...(previousSas === undefined ? {} : { "x-ms-previous-snapshot-url": previousSas }),
  };
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(callLimitMs)]);
  try {
    const response = await fetch(url, { headers, signal: bounded, redirect: "error" });
    if (!response.ok) throw await refusal(response, what);
    return await parseAnswer(response);
  } catch (error) {
    if (error instanceof FarsideError) throw error;
    if (signal.aborted) throw signal.reason;
    // The error of the network may quote the URL, and with it the signature.
    throw new FarsideError(
      "unavailable",
      `Could not list the pages of ${what}: the answer did not come or broke off. It is tried again later.`,
    );
  }
}

async function parseAnswer(response: Response) {
  const parser = new PageListParser();
  const decoder = new TextDecoder("utf-8");
  const ranges: ListedRange[] = [];
  let seen = 0;
  for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    seen += piece.length;
    if (seen > longestAnswerBytes)
      throw new FarsideError("source-corrupt", "The service's list of page ranges has no end.");
    for (const range of parser.feed(decoder.decode(piece, { stream: true }))) ranges.push(range);
  }
  for (const range of parser.feed(decoder.decode())) ranges.push(range);
  parser.end();
  return { ranges, marker: parser.marker };
}

/** The service's answers where there is nothing to compare with. */
const noComparison = new Set(["PreviousSnapshotNotFound", "PreviousSnapshotCannotBeNewer", "BlobOverwritten"]);

async function refusal(response: Response, what: string): Promise<FarsideError> {
  const { status, headers } = response;
  await response.body?.cancel();
  const code = headers.get("x-ms-error-code") ?? "";
  const seconds = headers.get("retry-after") ?? "";
  const retryAfterMs = /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
  const message = `Could not list the pages of ${what}: ${status} ${code}.`;
  const details = { details: { status, code }, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  if (noComparison.has(code))
    return new FarsideError("not-found", `There is nothing to compare ${what} with.`, details);
  if (status === 401 || status === 403) return new FarsideError("forbidden", message, details);
  if (status === 429 || code === "ServerBusy") return new FarsideError("throttled", message, details);
  if (status === 404 || status === 408 || status >= 500) return new FarsideError("unavailable", message, details);
  return new FarsideError("source-corrupt", message, details);
}
