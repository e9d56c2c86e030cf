/** Controls of the check that every exchange with a disk's SAS goes through: it finds what is not as the specification has it. */
import { describe, expect, test } from "vitest";
import { DataCheck, type DataExchange } from "../../../support/specification/data-check.ts";

const version = { "x-ms-version": "2025-01-05" };
const url = "/md-1/abcd?sv=1&sr=b&sig=secret";
const read: DataExchange = {
  method: "GET",
  url,
  requestHeaders: { ...version, "x-ms-range": "bytes=0-511" },
  status: 206,
  headers: { "x-ms-blob-type": "PageBlob", "content-length": "512" },
  body: undefined,
};
const ranges =
  "<PageRange><Start>0</Start><End>511</End></PageRange><ClearRange><Start>512</Start><End>1023</End></ClearRange>";
const listOf = (inner: string): string => `<?xml version="1.0" encoding="utf-8"?><PageList>${inner}</PageList>`;
const list: DataExchange = {
  ...read,
  url: `${url}&comp=pagelist&maxresults=2`,
  status: 200,
  headers: { "x-ms-blob-content-length": "1024" },
  body: listOf(`${ranges}<NextMarker/>`),
};
const diff: DataExchange = {
  ...list,
  requestHeaders: { ...list.requestHeaders, "x-ms-previous-snapshot-url": "https://disk/secret" },
};
const write: DataExchange = {
  ...read,
  method: "PUT",
  url: `${url}&comp=page`,
  requestHeaders: { ...version, "content-length": "512", "x-ms-page-write": "update", "x-ms-range": "bytes=0-511" },
  status: 201,
  headers: {},
};
const refusedWith = (code: string, told = code): DataExchange => ({
  ...write,
  method: "DELETE",
  url,
  status: 403,
  headers: { "x-ms-error-code": code },
  body: `<?xml version="1.0" encoding="utf-8"?><Error><Code>${told}</Code><Message>No.</Message></Error>`,
});

async function seen(exchange: DataExchange) {
  const check = await DataCheck.open();
  check.see(exchange);
  return { findings: check.findings, exercised: [...check.exercised] };
}

describe("An exchange with a disk as the specification has it", () => {
  test.each([
    ["reads bytes", read, "blob download"],
    ["asks for properties", { ...read, method: "HEAD", status: 200, requestHeaders: version }, "blob getProperties"],
    ["lists pages", list, "pageBlob getPageRanges"],
    ["lists differences", diff, "pageBlob getPageRangesDiff"],
    ["writes pages", write, "pageBlob uploadPages"],
    [
      "clears pages",
      { ...write, requestHeaders: { ...write.requestHeaders, "content-length": "0", "x-ms-page-write": "clear" } },
      "pageBlob clearPages",
    ],
  ])("%s", async (_, exchange, operation) => {
    expect(await seen(exchange)).toEqual({ findings: [], exercised: [operation] });
  });

  test("is refused with a code, in the header and in the body", async () => {
    expect(await seen(refusedWith("AuthorizationPermissionMismatch"))).toEqual({ findings: [], exercised: [] });
  });
});

describe("Found of an exchange with a disk is", () => {
  const asked = (more: Readonly<Record<string, string | undefined>>) => ({ ...read.requestHeaders, ...more });
  test.each<[string, DataExchange, RegExp]>([
    ["what is no operation", { ...read, url: `${url}&comp=pages` }, /GET is no operation/],
    ["a write that says not what it does", { ...write, requestHeaders: version }, /PUT is no operation/],
    ["an unknown query parameter", { ...list, url: `${list.url}&previous=1` }, /query parameter previous/],
    [
      "an unknown header",
      { ...read, requestHeaders: asked({ "x-ms-previous-snapshot": "1" }) },
      /header x-ms-previous-snapshot/,
    ],
    [
      "a write without its length",
      { ...write, requestHeaders: { ...version, "x-ms-page-write": "update" } },
      /asks without content-length/,
    ],
    ["another status", { ...list, status: 206 }, /answers 206, and the specification knows 200/],
    [
      "an unknown header of the answer",
      { ...read, headers: { "x-ms-blob-kind": "PageBlob" } },
      /header x-ms-blob-kind/,
    ],
    ["a number that is none", { ...read, headers: { "content-length": "many" } }, /content-length that is no number/],
    ["a list in another form", { ...list, body: listOf("<Range/>") }, /no list of page ranges/],
    [
      "ranges with ends that are not inclusive",
      { ...list, body: listOf(ranges.replace("511", "512")) },
      /no whole pages/,
    ],
    ["a refusal without its header", { ...refusedWith("A"), headers: {} }, /has no x-ms-error-code/],
    ["a refusal with two codes", refusedWith("A", "B"), /another one than in its header/],
  ])("%s", async (_, exchange, finding) => {
    const { findings } = await seen(exchange);
    expect(findings.join("\n")).toMatch(finding);
    expect(findings.join("\n")).not.toContain("secret");
  });
});
