import { expect, test } from "vitest";
import {
  encodeRecord,
  judgeStripe,
  readStripe,
  recordBytes,
  recordOffset,
  slots,
} from "../../../../local/demo/stripe.ts";

function ringWith(records: number): Uint8Array {
  const ring = new Uint8Array(slots * recordBytes);
  for (let n = 0; n < records; n++) ring.set(encodeRecord(n), recordOffset(n));
  return ring;
}

test("A stripe is of one instant when disk A is level with disk B or one record ahead", () => {
  expect(judgeStripe(ringWith(100), ringWith(100))).toEqual({ newestA: 99, newestB: 99, oneInstant: true });
  expect(judgeStripe(ringWith(101), ringWith(100)).oneInstant).toBe(true);
});

test("A stripe is torn when disk B is ahead, or disk A more than one record ahead", () => {
  expect(judgeStripe(ringWith(100), ringWith(101)).oneInstant).toBe(false);
  expect(judgeStripe(ringWith(102), ringWith(100)).oneInstant).toBe(false);
});

test("The ring wraps and stays readable", () => {
  expect(readStripe(ringWith(slots + 7))).toEqual({ newest: slots + 6, unbroken: true });
});

test("A missing record inside the ring is noticed, and a record that is not whole is refused", () => {
  const hole = ringWith(10);
  hole.fill(0, recordOffset(4), recordOffset(5));
  expect(readStripe(hole)).toEqual({ newest: 9, unbroken: false });
  const broken = ringWith(10);
  broken[recordOffset(4) + 9] = 1;
  expect(() => readStripe(broken)).toThrow(/not whole/);
});
