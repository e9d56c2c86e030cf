import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteView } from "../../../shared/images/byte-view.ts";
import { crc32c, crc32cRaw } from "../../../shared/images/crc32c.ts";
import { decodeFileName, encodeFileName } from "../../../shared/images/file-name.ts";

describe("CRC-32C", () => {
  test("gives the check value of the catalogue of CRCs, and the vectors of RFC 3720, B.4", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, at) => at))).toBe(0x46dd794e);
  });

  test("can be taken in pieces of any length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, at) => {
        const cut = Math.min(at, bytes.length);
        const chained = crc32cRaw(crc32cRaw(0xffffffff, bytes.subarray(0, cut)), bytes.subarray(cut));
        expect(~chained >>> 0).toBe(crc32c(bytes));
      }),
    );
  });
});

describe("A view of bytes", () => {
  const view = new ByteView(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 0x80), "thing 3");

  test("reads both orders", () => {
    expect([view.u16le(0), view.u16be(0), view.u32le(0), view.u32be(0)]).toEqual([
      0x0201, 0x0102, 0x04030201, 0x01020304,
    ]);
    expect(view.big64be(0)).toBe(0x0102030405060780n);
  });

  test("names the structure where the bytes end before what is read, or a number is beyond 2^53", () => {
    expect(() => view.u32le(5)).toThrow(/damaged at the thing 3: bytes 5 to 8 are not within its 8 bytes/);
    expect(() => view.u8(-1)).toThrow(/thing 3/);
    expect(() => view.slice(0, 9)).toThrow(/thing 3/);
    expect(() => view.u64le(0)).toThrow(/too large/);
  });
});

describe("A file name", () => {
  test("that is UTF-8 stands as it is, backslashes too", () => {
    for (const name of ["plain", "Überraschung ünïcode 日本語 🦆", "back\\slash", "looks\\x41escaped", "a\nb"]) {
      expect(decodeFileName(Buffer.from(name))).toBe(name);
      expect(Buffer.from(encodeFileName(name)).toString()).toBe(name);
    }
  });

  test("that is not UTF-8 can be typed, and leads back to its bytes", () => {
    expect(decodeFileName(Buffer.from([0x66, 0xfc, 0x72, 0x5c]))).toBe("f\\xfcr\\\\");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        expect(Buffer.from(encodeFileName(decodeFileName(bytes)))).toEqual(Buffer.from(bytes));
      }),
    );
  });
});
