/** Controls of the check that every exchange with a local ARM goes through: it finds what is not as the specifications have it. */
import { describe, expect, test } from "vitest";
import type { ArmExchange } from "../../../../local/arm/exchange.ts";
import { refuseFindings } from "../../../support/specification/refuse-findings.ts";
import { ExchangeCheck } from "../../../support/specification/exchange-check.ts";

const compute = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute";
const disk = `${compute}/disks/d?api-version=2026-03-02`;
const wanted = { location: "westeurope", properties: { creationData: { createOption: "Empty" }, diskSizeGB: 1 } };
const status =
  "https://management.azure.com/subscriptions/s/providers/Microsoft.Compute/locations/w/operations/o?api-version=1";
const begun = { "azure-asyncoperation": status, location: `${status}&monitor=true`, "retry-after": "1" };
const right: ArmExchange = {
  method: "PUT",
  url: disk,
  requestBody: wanted,
  requestHeaders: {},
  status: 202,
  headers: begun,
  body: { ...wanted, id: "i", name: "d", type: "Microsoft.Compute/disks" },
  isPlanned: false,
};
const got: ArmExchange = { ...right, method: "GET", requestBody: undefined, status: 200, headers: {} };
const look: ArmExchange = { ...got, url: status.slice("https://management.azure.com".length) };
const ended = { status: "Succeeded", startTime: "2026-11-21T00:00:00Z", endTime: "2026-11-21T00:00:01Z", name: "o" };
const refused: ArmExchange = { ...got, status: 404, body: { error: { code: "ResourceNotFound", message: "No." } } };

function findings(...exchanges: readonly ArmExchange[]): readonly string[] {
  const check = new ExchangeCheck();
  for (const exchange of exchanges) check.see(exchange);
  return check.findings;
}

/** A disk's answer with other properties. */
const answered = (properties: object, more: object = {}): ArmExchange => ({
  ...got,
  body: { ...wanted, ...more, properties: { ...wanted.properties, ...properties } },
});

describe("An exchange as the specifications have it", () => {
  test.each([
    ["that begins an operation", [right]],
    ["that reads", [got]],
    ["that is refused", [refused]],
    [
      "that is refused for too many requests, with a flat error",
      [
        {
          ...refused,
          status: 429,
          headers: { "retry-after": "9" },
          body: { code: "OperationNotAllowed", message: "No." },
        },
      ],
    ],
    [
      "that looks at an operation until its end",
      [
        right,
        { ...look, body: { status: "InProgress", startTime: ended.startTime, name: "o" } },
        { ...look, url: `${look.url}&monitor=true`, status: 202, headers: { "retry-after": "1" }, body: undefined },
        { ...look, body: { ...ended, properties: { output: right.body } } },
        { ...look, url: `${look.url}&monitor=true` },
      ],
    ],
    [
      "of a list in pages",
      [
        {
          ...got,
          url: `${compute}/disks?api-version=2026-03-02&$skiptoken=1`,
          body: { value: [got.body], nextLink: "n" },
        },
      ],
    ],
    [
      "of a lock, which no SDK here knows",
      [
        {
          ...right,
          url: `${compute}/disks/d/providers/Microsoft.Authorization/locks/l?api-version=2020-05-01`,
          requestBody: { properties: { level: "CanNotDelete" } },
          status: 201,
          body: { id: "i", name: "l", properties: { level: "CanNotDelete" } },
        },
      ],
    ],
  ])("%s has no findings", (_, exchanges) => {
    expect(findings(...exchanges)).toEqual([]);
  });
});

describe("Found is", () => {
  test.each<[string, readonly ArmExchange[], RegExp]>([
    ["a path that is no operation", [{ ...got, url: `${compute}/discs/d?api-version=1` }], /is not an operation/],
    ["a method that a resource does not have", [{ ...got, method: "POST" }], /is not an operation/],
    [
      "another api-version",
      [{ ...got, url: `${compute}/disks/d?api-version=2020-01-01` }],
      /asks for api-version 2020-01-01/,
    ],
    ["no api-version", [{ ...got, url: `${compute}/disks/d` }], /asks for api-version null/],
    ["an unknown query parameter", [{ ...got, url: `${disk}&$expand=all` }], /query parameter \$expand/],
    ["a request without its body", [{ ...right, requestBody: undefined }], /asks without a body/],
    ["a body that a request does not have", [{ ...got, requestBody: {} }], /asks with a body/],
    [
      "an unknown property of a request",
      [{ ...right, requestBody: { ...wanted, disk: 1 } }],
      /request\.disk is not in/,
    ],
    [
      "a wrong type in a request",
      [{ ...right, requestBody: { ...wanted, location: 1 } }],
      /request\.location is not a text/,
    ],
    [
      "a request without what is required",
      [{ ...right, requestBody: { properties: wanted.properties } }],
      /location is required/,
    ],
    [
      "what is read-only in a request",
      [{ ...right, requestBody: { ...wanted, properties: { ...wanted.properties, uniqueId: "u" } } }],
      /uniqueId is read-only/,
    ],
    ["a status that an operation does not have", [{ ...got, status: 206 }], /answers 206/],
    ["an answer without its body", [{ ...got, body: undefined }], /answers without a body/],
    [
      "an answer with a body that it does not have",
      [{ ...got, method: "DELETE", status: 200, body: {} }],
      /answers with a body, and/,
    ],
    ["a body of a 204", [{ ...got, method: "DELETE", status: 204, body: {} }], /204 with a body/],
    ["an unknown property of an answer", [answered({ powerState: "running" })], /properties\.powerState is not in/],
    ["an unknown property at the top of an answer", [answered({}, { etag: "e" })], /answer\.etag is not in/],
    [
      "a wrong type in an answer",
      [answered({ diskSizeBytes: "1" })],
      /diskSizeBytes is not a number but of type string/,
    ],
    ["null in an answer", [answered({ diskSizeBytes: null })], /diskSizeBytes is not a number but null/],
    ["a time that is none", [answered({ timeCreated: "yesterday" })], /timeCreated is not a time/],
    ["a list that is none", [answered({}, { zones: "1" })], /zones is not a list/],
    ["a map with wrong values", [answered({}, { tags: { a: 1 } })], /tags\{\} is not a text/],
    ["an unknown value", [answered({ diskState: "Gone" })], /diskState is none of its known values/],
    [
      "an answer without what is required",
      [{ ...got, body: { properties: wanted.properties } }],
      /location is required/,
    ],
    [
      "a list without its items",
      [{ ...got, url: `${compute}/disks?api-version=2026-03-02`, body: {} }],
      /answer\.value is required/,
    ],
    [
      "an operation begun without a place to look at",
      [{ ...right, headers: { "retry-after": "1" } }],
      /nowhere to look/,
    ],
    [
      "an operation whose result has no place",
      [{ ...right, headers: { "azure-asyncoperation": status, "retry-after": "1" } }],
      /without Location/,
    ],
    [
      "an operation whose place is no URL of ARM",
      [{ ...right, headers: { ...begun, location: "https://management.azure.com/operations/o" } }],
      /no whole URL/,
    ],
    [
      "an operation begun without Retry-After",
      [{ ...right, headers: { location: status } }],
      /begins without Retry-After/,
    ],
    ["the status of an operation that nobody began", [{ ...look, body: ended }], /nobody began/],
    ["an unknown status of an operation", [right, { ...look, body: { ...ended, status: "Done" } }], /no known status/],
    [
      "an operation that ended at no time",
      [right, { ...look, body: { status: "Succeeded", startTime: ended.startTime, name: "o" } }],
      /without endTime/,
    ],
    [
      "an operation that failed without an error",
      [right, { ...look, body: { ...ended, status: "Failed" } }],
      /without an error/,
    ],
    [
      "an output of another type",
      [right, { ...look, body: { ...ended, properties: { output: { location: "w", accessSAS: "secret" } } } }],
      /output of PUT .*accessSAS is not in/,
    ],
    [
      "a result that is missing",
      [right, { ...look, url: `${look.url}&monitor=true`, body: undefined }],
      /without its result/,
    ],
    ["an error without its envelope", [{ ...refused, body: { code: "c", message: "m" } }], /404 without an error/],
    ["an error without a code", [{ ...refused, body: { error: { message: "m" } } }], /without code/],
    [
      "an error with what no error has",
      [{ ...refused, body: { error: { code: "c", message: "m", why: 1 } } }],
      /has why/,
    ],
    ["429 without Retry-After", [{ ...refused, status: 429 }], /429 without Retry-After/],
  ])("%s", (_, exchanges, finding) => {
    const found = findings(...exchanges);
    expect(found).toEqual([expect.stringMatching(finding)]);
    expect(found.join()).not.toContain("secret");
  });

  test("each problem once, however often it happens", () => {
    const wrong = answered({ diskState: "Gone" });
    expect(findings(wrong, wrong)).toHaveLength(1);
  });

  test("nothing about the places of an operation that a fault made so", () => {
    const headers = { "azure-asyncoperation": status, "retry-after": "1" };
    expect(findings({ ...right, headers, isPlanned: true })).toEqual([]);
  });

  test("an error that a fault made, by nobody", () => {
    expect(findings({ ...refused, status: 429, body: {}, isPlanned: true })).toEqual([]);
  });
});

describe("What was found", () => {
  test("fails the test, but for what it has made so on purpose; and that must have been found", () => {
    const found = findings(answered({ diskState: "Gone" }), refused);
    expect(() => refuseFindings(found)).toThrow(/specifications have it:.*diskState/s);
    expect(() => refuseFindings(found, [/diskState/])).not.toThrow();
    expect(() => refuseFindings([], [/diskState/])).toThrow(/expected, and not found/);
    expect(() => refuseFindings([])).not.toThrow();
  });
});
