/** Requests and replies of the transmission, byte for byte against the protocol's text. */
import { describe, expect, test } from "vitest";
import { cutText } from "../../../../shared/core/nbd/cut-text.ts";
import {
  encodeDataHead,
  encodeDone,
  encodeErrorChunk,
  encodeHole,
  encodeSimpleReply,
  encodeStatus,
} from "../../../../shared/core/nbd/replies.ts";
import type { Work } from "../../../../shared/core/nbd/request.ts";
import { judgeRequest, parseRequest, payloadBytes } from "../../../../shared/core/nbd/request.ts";
import type { RequestFields } from "../../../support/nbd/nbd-client.ts";
import { requestBytes, u16, u32, u64 } from "../../../support/nbd/nbd-client.ts";

const mib = 1024 * 1024;
const cookie = 0xfedc_ba98_7654_3210n;
const session = { exportName: "os", structured: true, status: true };
const plain = { exportName: "os", structured: false, status: false };
const bounds = { sizeBytes: 100 * mib, wholeBytes: 4 * mib };

const command = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, cache: 5, zeroes: 6, status: 7 };

function judge(fields: RequestFields, agreed = session): Work {
  const request = parseRequest(requestBytes(fields));
  if (request === undefined) throw new Error("The request was not understood.");
  return judgeRequest(request, agreed, bounds);
}

describe("A request", () => {
  test("is read as it stands", () => {
    const fields = { type: 7, flags: 8, cookie, offset: 2n ** 40n + 1n, length: 0xffff_ffff };
    expect(parseRequest(requestBytes(fields))).toEqual({ ...fields, offset: 2 ** 40 + 1 });
    expect(parseRequest(Buffer.alloc(28))).toBeUndefined();
    expect(parseRequest(requestBytes(fields).subarray(0, 27))).toBeUndefined();
  });

  test("to write is followed by its data, and no other", () => {
    const lengths = Object.values(command).map((type) => {
      const request = parseRequest(requestBytes({ type, length: 5 }));
      return request === undefined ? undefined : payloadBytes(request);
    });
    expect(lengths).toEqual([0, 5, 0, 0, 0, 0, 0, 0]);
  });

  test.each<readonly [string, RequestFields, Work]>([
    ["a read", { type: 0, offset: 5, length: 7 }, { kind: "read", offset: 5, length: 7, whole: false }],
    ["a whole read", { type: 0, flags: 4, length: 9 }, { kind: "read", offset: 0, length: 9, whole: true }],
    ["status", { type: 7, length: 0xffff }, { kind: "status", offset: 0, length: 0xffff, one: false }],
    ["one status", { type: 7, flags: 8, length: 1 }, { kind: "status", offset: 0, length: 1, one: true }],
    ["cache", { type: 5, offset: mib, length: 99 * mib }, { kind: "cache", offset: mib, length: 99 * mib }],
    ["flush", { type: 3 }, { kind: "flush" }],
    ["goodbye", { type: 2 }, { kind: "disconnect" }],
    [
      "the last byte",
      { type: 0, offset: 100 * mib - 1, length: 1 },
      { kind: "read", offset: 100 * mib - 1, length: 1, whole: false },
    ],
  ])("for %s is understood", (_what, fields, work) => expect(judge(fields)).toEqual(work));

  test.each<readonly [string, RequestFields, number]>([
    ["a write", { type: 1, length: 512 }, 1],
    ["a write beyond the end", { type: 1, offset: 2n ** 63n, length: 512 }, 1],
    ["a trim", { type: 4, length: 512 }, 1],
    ["zeros", { type: 6, length: 512 }, 1],
    ["a read of nothing", { type: 0, length: 0 }, 22],
    ["status of nothing", { type: 7, length: 0 }, 22],
    ["a read beyond the end", { type: 0, offset: 100 * mib - 1, length: 2 }, 22],
    ["a read far beyond the end", { type: 0, offset: 2n ** 64n - 1n, length: 1 }, 22],
    ["status beyond the end", { type: 7, offset: 100 * mib, length: 1 }, 22],
    ["cache beyond the end", { type: 5, offset: 100 * mib, length: 1 }, 22],
    ["a read of 33 MiB", { type: 0, length: 33 * mib }, 75],
    ["a whole read of 5 MiB", { type: 0, flags: 4, length: 5 * mib }, 75],
    ["a read with a flag of another command", { type: 0, flags: 8, length: 1 }, 22],
    ["a read with an unknown flag", { type: 0, flags: 0x8000, length: 1 }, 22],
    ["status with a wrong flag", { type: 7, flags: 12, length: 1 }, 22],
    ["cache with a flag", { type: 5, flags: 1, length: 1 }, 22],
    ["flush with a flag", { type: 3, flags: 1 }, 22],
    ["resize", { type: 8, length: 1 }, 22],
    ["what nobody knows", { type: 0xffff, length: 1 }, 22],
  ])("for %s is refused", (_what, fields, error) => {
    expect(judge(fields)).toMatchObject({ kind: "refuse", error });
  });

  test("for status or a whole read is refused where it was not agreed", () => {
    expect(judge({ type: 7, length: 1 }, plain)).toMatchObject({ kind: "refuse", error: 22 });
    expect(judge({ type: 0, flags: 4, length: 1 }, plain)).toMatchObject({ kind: "refuse", error: 22 });
  });
});

describe("A reply", () => {
  const chunk = (flags: number, type: number, ...payload: Buffer[]): string => {
    const body = Buffer.concat(payload);
    return Buffer.concat([u32(0x668e33ef), u16(flags), u16(type), u64(cookie), u32(body.length), body]).toString("hex");
  };
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

  test("without chunks has magic, error and cookie", () => {
    expect(hex(encodeSimpleReply(cookie, 5))).toBe(
      Buffer.concat([u32(0x67446698), u32(5), u64(cookie)]).toString("hex"),
    );
  });

  test("of data says where it lies, and how long it is", () => {
    const data = Buffer.from("abc");
    expect(hex(Buffer.concat([encodeDataHead(cookie, 2 ** 40, 3, false), data]))).toBe(chunk(0, 1, u64(2 ** 40), data));
  });

  test("of a hole sends no zeros", () => {
    expect(hex(encodeHole(cookie, 4096, 0xffff_ffff, true))).toBe(chunk(1, 2, u64(4096), u32(0xffff_ffff)));
  });

  test("may end with nothing", () => expect(hex(encodeDone(cookie))).toBe(chunk(1, 0)));

  test("of an error has a text, cut at a letter", () => {
    expect(hex(encodeErrorChunk(cookie, 5, "läuft"))).toBe(chunk(1, 0x8001, u32(5), u16(6), Buffer.from("läuft")));
    const long = Buffer.from(encodeErrorChunk(cookie, 5, `x${"ä".repeat(4000)}`));
    expect(long.readUInt16BE(24)).toBe(4095);
    expect(long.toString("utf8", 26)).toBe(`x${"ä".repeat(2047)}`);
    expect(cutText("ä", 1)).toHaveLength(0);
  });

  test("of status marks what reads as zeros as a hole of zeros", () => {
    const extents = [
      { kind: "data", length: 512 },
      { kind: "zero", length: 4096 },
    ] as const;
    expect(hex(encodeStatus(cookie, extents))).toBe(chunk(1, 5, u32(1), u32(512), u32(0), u32(4096), u32(3)));
  });
});
