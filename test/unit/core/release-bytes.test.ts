import { expect, test } from "vitest";
import { releaseBytes } from "../../../shared/core/release-bytes.ts";

test("Bytes that are released are gone at once, unless others share their buffer", () => {
  const whole = new Uint8Array(1024);
  releaseBytes(whole);
  expect(whole.buffer.byteLength).toBe(0);
  const shared = new Uint8Array(1024).fill(7);
  releaseBytes(shared.subarray(0, 1023));
  releaseBytes(shared.subarray(1));
  expect(shared).toEqual(new Uint8Array(1024).fill(7));
});
