import { createHash, createHmac, hkdfSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { deriveKeys } from "../../../../shared/core/vault/data-keys.ts";
import { isAllZero, objectIdOf, parseObjectId, zeroObjectId } from "../../../../shared/core/vault/object-id.ts";
import { encodeSegment } from "../../../../shared/core/vault/segment.ts";
import { noise } from "../../../support/vault/vault-fixture.ts";

const dataKey = noise("data key", 32);
const keys = deriveKeys("vault-one", dataKey);
const none = { kind: "none" } as const;

describe("An object's id", () => {
  test("is the HMAC of kind and content, under the key that HKDF makes for ids", () => {
    const idKey = Buffer.from(hkdfSync("sha256", dataKey, "vault-one", "farside/v1/id", 32));
    const right = createHmac("sha256", idKey).update("\u0001content").digest("hex");
    expect(objectIdOf(keys, "data", Buffer.from("content"))).toBe(right);
  });

  test("is the SHA-256 of kind and content in an unencrypted vault", () => {
    const right = createHash("sha256").update("\u0004content").digest("hex");
    expect(objectIdOf(none, "document", Buffer.from("content"))).toBe(right);
  });

  test("of zeros of any length, and of a segment of nothing but zeros, is the zero id", () => {
    for (const length of [1, 511, 512, 1024 * 1024, 4 * 1024 * 1024]) {
      expect(objectIdOf(keys, "data", new Uint8Array(length))).toBe(zeroObjectId);
    }
    expect(objectIdOf(keys, "segment", encodeSegment([zeroObjectId, zeroObjectId]))).toBe(zeroObjectId);
    // Control: zeros that are no chunk, and chunks that are not all zero.
    expect(objectIdOf(keys, "document", new Uint8Array(10))).not.toBe(zeroObjectId);
    expect(objectIdOf(keys, "segment", encodeSegment([zeroObjectId, parseObjectId("a".repeat(64))]))).not.toBe(
      zeroObjectId,
    );
  });

  test("parses from 64 lower-case hex digits only", () => {
    expect(parseObjectId("0f".repeat(32))).toBe("0f".repeat(32));
    for (const text of ["", "0F".repeat(32), "0f".repeat(31), `${"0f".repeat(32)} `]) {
      expect(() => parseObjectId(text)).toThrow(/not an object id/);
    }
  });
});

test("One byte that is not zero, wherever it is, makes a chunk that is not all zero", () => {
  for (const at of [0, 1, 511, 1024 * 1024 - 1, 1024 * 1024, 3 * 1024 * 1024 - 1]) {
    const bytes = new Uint8Array(3 * 1024 * 1024);
    bytes[at] = 1;
    expect(isAllZero(bytes)).toBe(false);
    bytes[at] = 0;
    expect(isAllZero(bytes)).toBe(true);
  }
});

test("Keys print as nothing", () => {
  expect(JSON.stringify(keys)).not.toMatch(/[0-9a-f]{16}/);
  expect(JSON.stringify(keys)).toContain("{}");
});
