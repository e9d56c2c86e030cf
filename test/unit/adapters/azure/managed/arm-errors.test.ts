import { RestError } from "@azure/core-rest-pipeline";
import { describe, expect, test } from "vitest";
import { armError } from "../../../../../shared/adapters/azure/managed/arm-errors.ts";
import { TokenBucket } from "../../../../../shared/adapters/azure/managed/token-bucket.ts";

const never = new AbortController().signal;

function answered(statusCode: number, code: string | undefined, message = "It says why.") {
  const details = code === undefined ? undefined : { error: { code, message } };
  return Object.assign(new RestError(message, { statusCode }), { details });
}

const mapped = (error: unknown) => armError(error, "do it", never);

describe("An error of ARM", () => {
  test.each([
    [404, "ResourceNotFound", "not-found"],
    [404, undefined, "unavailable"],
    [403, "AuthorizationFailed", "forbidden"],
    [409, "ScopeLocked", "forbidden"],
    [409, "OperationNotAllowed", "conflict"],
    [409, "DiskRestorePointUsedByCustomer", "conflict"],
    [409, "VMAgentStatusCommunicationError", "guest-failed"],
    [429, "OperationNotAllowed", "throttled"],
    [400, "InvalidParameter", "refused"],
    [500, "InternalServerError", "unavailable"],
    [503, undefined, "unavailable"],
  ])("%i %s is %s", (status, code, expected) => {
    expect(mapped(answered(status, code))).toMatchObject({ code: expected });
  });

  test("of an operation that failed at its end is known by the code in its text, which is all that the SDK keeps", () => {
    const failed = (code: string) => new Error(`The long-running operation has failed. ${code}. Why it did.`);
    expect(mapped(failed("VMAgentStatusCommunicationError"))).toMatchObject({ code: "guest-failed" });
    expect(mapped(failed("VMRestorePointClientError"))).toMatchObject({ code: "guest-failed" });
    expect(mapped(answered(409, "VMRestorePointClientError"))).toMatchObject({ code: "conflict" });
    expect(mapped(failed("SomethingNew"))).toMatchObject({
      code: "snapshot-failed",
      message: expect.stringContaining("Why it did"),
    });
  });

  test("shows no signature, and never more than a few lines", () => {
    const sas = "https://md-1.blob.core.windows.net/x/abcd?sv=1&sig=SECRET";
    const error = mapped(answered(409, "Conflict", `The disk has ${sas} outstanding. ${"x".repeat(1000)}`));
    expect(String(error)).not.toContain("SECRET");
    expect(String(error).length).toBeLessThan(500);
    expect(JSON.stringify(error)).not.toContain("SECRET");
  });

  test("that is none of the service, and the caller's own giving up, stay what they are", () => {
    const defect = new TypeError("x is undefined");
    expect(mapped(defect)).toBe(defect);
    const reason = new Error("enough");
    expect(armError(answered(500, undefined), "do it", AbortSignal.abort(reason))).toBe(reason);
  });
});

describe("What one process asks of a subscription", () => {
  test("is a burst, then a few a second after a short wait; where the wait is long, the step comes back later", () => {
    let now = 0;
    const bucket = new TokenBucket(() => now);
    for (let i = 0; i < 80; i++) expect(bucket.take("PUT").waitMs).toBe(0);
    const waits = Array.from({ length: 12 }, () => bucket.take("POST").waitMs);
    expect(waits).toEqual(waits.map((_, index) => (index + 1) * 250));
    expect(() => bucket.take("PUT")).toThrow(expect.objectContaining({ code: "throttled", retryAfterMs: 3250 }));
    // Reads are counted by themselves.
    expect(bucket.take("GET").waitMs).toBe(0);
    now += 3250;
    expect(bucket.take("PUT").waitMs).toBe(0);
    now += 3_600_000;
    for (let i = 0; i < 80; i++) expect(bucket.take("PATCH").waitMs).toBe(0);
    expect(bucket.take("PATCH").waitMs).toBe(250);
  });
});
