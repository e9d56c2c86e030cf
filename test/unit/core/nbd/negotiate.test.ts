/** What the server says in the handshake, byte for byte against the protocol's text. */
import { describe, expect, test } from "vitest";
import { encodeGreeting, parseClientFlags, parseOptionHead } from "../../../../shared/core/nbd/handshake.ts";
import type { Negotiation, OptionAnswer } from "../../../../shared/core/nbd/negotiate.ts";
import { answerOption, beginNegotiation } from "../../../../shared/core/nbd/negotiate.ts";
import { contextData, infoData, optionHead, u16, u32, u64 } from "../../../support/nbd/nbd-client.ts";

const offer = {
  exports: [
    { name: "os", description: "the disk", sizeBytes: 0x1_0000_0200 },
    { name: "lvm/data/web", description: "a volume", sizeBytes: 4096 },
  ],
  defaultExport: "os",
  tls: false,
};
const fresh = beginNegotiation({ fixedNewstyle: true, noZeroes: true }, false);
const structured: Negotiation = { ...fresh, structured: true };
const none = new Uint8Array(0);

const flags = { plain: 0x0507, structured: 0x0587 };

function ask(code: number, data: Uint8Array = none, negotiation = fresh): OptionAnswer {
  return answerOption(offer, negotiation, code, data);
}

function reply(option: number, type: number, ...data: Uint8Array[]): string {
  const body = Buffer.concat(data);
  return Buffer.concat([u64(0x3e889045565a9n), u32(option), u32(type), u32(body.length), body]).toString("hex");
}

function replies(answer: OptionAnswer): string[] {
  return answer.replies.map((bytes) => Buffer.from(bytes).toString("hex"));
}

/** The type and the text of the only reply, which is an error. */
function refusal(answer: OptionAnswer): readonly [string, number, string] {
  const bytes = Buffer.from(answer.replies[0] ?? none);
  expect(answer.replies).toHaveLength(1);
  return [answer.kind, bytes.readUInt32BE(12), bytes.toString("utf8", 20)];
}

describe("The first words", () => {
  test("are the greeting of the fixed newstyle", () => {
    expect(Buffer.from(encodeGreeting()).toString("latin1")).toBe("NBDMAGICIHAVEOPT\0\x03");
  });

  test.each([
    [0, { fixedNewstyle: false, noZeroes: false }],
    [1, { fixedNewstyle: true, noZeroes: false }],
    [3, { fixedNewstyle: true, noZeroes: true }],
    [4, undefined],
    [0x8000_0001, undefined],
  ])("of the client, %d, are understood or refused", (value, expected) => {
    expect(parseClientFlags(u32(value))).toEqual(expected);
  });

  test("of an option must be its magic", () => {
    expect(parseOptionHead(optionHead(7, 12))).toEqual({ code: 7, length: 12 });
    expect(parseOptionHead(Buffer.alloc(16))).toBeUndefined();
  });
});

describe("NBD_OPT_LIST", () => {
  test("names every export with its description", () => {
    expect(replies(ask(3))).toEqual([
      reply(3, 2, u32(2), Buffer.from("osthe disk")),
      reply(3, 2, u32(12), Buffer.from("lvm/data/weba volume")),
      reply(3, 1),
    ]);
  });

  test("with data is invalid", () => {
    expect(refusal(ask(3, u32(0)))).toEqual(["continue", 0x8000_0003, "NBD_OPT_LIST has no data."]);
  });
});

describe("NBD_OPT_GO and NBD_OPT_INFO", () => {
  test("describe the export as far as was asked", () => {
    const answer = ask(6, infoData("lvm/data/web", [1, 2, 3, 99]), structured);
    expect(answer.kind).toBe("continue");
    expect(replies(answer)).toEqual([
      reply(6, 3, u16(0), u64(4096), u16(flags.structured)),
      reply(6, 3, u16(1), Buffer.from("lvm/data/web")),
      reply(6, 3, u16(2), Buffer.from("a volume")),
      reply(6, 3, u16(3), u32(1), u32(1 << 20), u32(32 << 20)),
      reply(6, 1),
    ]);
  });

  test("enter the export, the empty name the default one", () => {
    const answer = ask(7, infoData("", [1]));
    expect(answer).toMatchObject({
      kind: "transmit",
      session: { exportName: "os", structured: false, status: false },
    });
    expect(replies(answer)).toEqual([
      reply(7, 3, u16(0), u64(0x1_0000_0200), u16(flags.plain)),
      reply(7, 3, u16(1), Buffer.from("os")),
      reply(7, 1),
    ]);
  });

  test("of an export that is not there go on", () => {
    expect(refusal(ask(7, infoData("nope", [])))).toEqual([
      "continue",
      0x8000_0006,
      "There is no export of this name.",
    ]);
    expect(refusal(answerOption({ exports: [], tls: false }, fresh, 7, infoData("", [])))[1]).toBe(0x8000_0006);
  });

  test.each([
    ["nothing", none],
    ["a name longer than the data", Buffer.concat([u32(0xffff_ffff), Buffer.from("os"), u16(0)])],
    ["more requests than there are", Buffer.concat([infoData("os", []).subarray(0, 6), u16(0xffff), u16(1)])],
    ["something behind it", Buffer.concat([infoData("os", []), u16(1)])],
    ["a name that is no UTF-8", Buffer.concat([u32(1), Buffer.of(0xff), u16(0)])],
  ])("with %s are invalid", (_what, data) => {
    expect(refusal(ask(7, data)).slice(0, 2)).toEqual(["continue", 0x8000_0003]);
  });
});

describe("NBD_OPT_EXPORT_NAME", () => {
  test("enters with size and flags, and with the zeros where the client wants them", () => {
    const short = ask(1, Buffer.from("os"));
    expect(short).toMatchObject({ kind: "transmit", session: { exportName: "os" } });
    const head = Buffer.concat([u64(0x1_0000_0200), u16(flags.plain)]);
    expect(replies(short)).toEqual([head.toString("hex")]);
    const long = ask(1, Buffer.from("os"), { ...fresh, noZeroes: false, fixedNewstyle: false });
    expect(replies(long)).toEqual([Buffer.concat([head, Buffer.alloc(124)]).toString("hex")]);
  });

  test("of an export that is not there ends the session, for it knows no errors", () => {
    expect(ask(1, Buffer.from("nope"))).toMatchObject({ kind: "end", replies: [] });
  });
});

describe("Metadata contexts", () => {
  const set = (name: string, queries: readonly string[], from = structured): OptionAnswer =>
    ask(10, contextData(name, queries), from);

  test("are listed for no query, the wildcard and the name", () => {
    for (const queries of [[], ["base:"], ["base:allocation"], ["x:y", "base:allocation"]]) {
      expect(replies(ask(9, contextData("os", queries)))).toEqual([
        reply(9, 4, u32(0), Buffer.from("base:allocation")),
        reply(9, 1),
      ]);
    }
    expect(replies(ask(9, contextData("os", ["qemu:dirty-bitmap:x"])))).toEqual([reply(9, 1)]);
  });

  test("are set by name alone: neither by none nor by the wildcard", () => {
    const answer = set("os", ["base:allocation"]);
    expect(replies(answer)).toEqual([reply(10, 4, u32(1), Buffer.from("base:allocation")), reply(10, 1)]);
    expect(answer).toMatchObject({ kind: "continue", negotiation: { contextOf: "os" } });
    for (const queries of [[], ["base:"], ["base:other"]]) {
      const nothing = set("os", queries, { ...structured, contextOf: "os" });
      expect(replies(nothing)).toEqual([reply(10, 1)]);
      expect(nothing).toMatchObject({ negotiation: { contextOf: undefined } });
    }
  });

  test("need structured replies", () => {
    expect(refusal(set("os", ["base:allocation"], fresh))[1]).toBe(0x8000_0003);
  });

  test("chosen before are dropped where choosing fails", () => {
    const before = { ...structured, contextOf: "os" };
    for (const answer of [set("nope", ["base:allocation"], before), ask(10, u32(99), before)]) {
      expect(answer).toMatchObject({ kind: "continue", negotiation: { contextOf: undefined } });
    }
  });

  test("count for the export they were chosen for, by whatever name, and for no other", () => {
    const chosen: Negotiation = { ...structured, contextOf: "os" };
    const enter = (name: string): OptionAnswer => ask(7, infoData(name, []), chosen);
    expect(enter("os")).toMatchObject({ session: { status: true } });
    expect(enter("")).toMatchObject({ session: { status: true } });
    expect(enter("lvm/data/web")).toMatchObject({ session: { status: false } });
  });

  test.each([
    ["a query longer than the data", Buffer.concat([contextData("os", []).subarray(0, 6), u32(1), u32(500)])],
    ["four billion queries", Buffer.concat([contextData("os", []).subarray(0, 6), u32(0xffff_ffff)])],
    ["something behind it", Buffer.concat([contextData("os", []), u32(0)])],
  ])("with %s are invalid", (_what, data) => {
    expect(refusal(ask(9, data))[1]).toBe(0x8000_0003);
  });
});

describe("Other options", () => {
  test("structured replies are agreed to", () => {
    expect(ask(8)).toMatchObject({ kind: "continue", negotiation: { structured: true } });
    expect(refusal(ask(8, u32(1)))[1]).toBe(0x8000_0003);
  });

  test("an abort is acknowledged", () => {
    expect(ask(2)).toMatchObject({ kind: "end" });
    expect(replies(ask(2))).toEqual([reply(2, 1)]);
  });

  test.each([4, 11, 0, 0xffff_ffff])("%d is unknown", (code) => {
    expect(refusal(ask(code)).slice(0, 2)).toEqual(["continue", 0x8000_0001]);
  });

  test("none but the export's name is answered without the fixed newstyle", () => {
    expect(ask(3, none, { ...fresh, fixedNewstyle: false })).toMatchObject({ kind: "end", replies: [] });
  });
});

describe("TLS", () => {
  const tls = { ...offer, tls: true };
  const over = { ...fresh, secured: true };

  test("is refused where it is not configured", () => {
    expect(refusal(ask(5)).slice(0, 2)).toEqual(["continue", 0x8000_0002]);
  });

  test.each([3, 6, 7, 8, 9, 10, 99])("is required before option %d where it is configured", (code) => {
    expect(refusal(answerOption(tls, fresh, code, infoData("os", []))).slice(0, 2)).toEqual(["continue", 0x8000_0005]);
  });

  test("is required before an export is entered by its name, which ends the session", () => {
    expect(answerOption(tls, fresh, 1, Buffer.from("os"))).toMatchObject({ kind: "end", replies: [] });
    expect(answerOption(tls, over, 1, Buffer.from("os"))).toMatchObject({ kind: "transmit" });
  });

  test("begins once", () => {
    const answer = answerOption(tls, fresh, 5, none);
    expect(answer.kind).toBe("start-tls");
    expect(replies(answer)).toEqual([reply(5, 1)]);
    expect(refusal(answerOption(tls, fresh, 5, u32(0)))[1]).toBe(0x8000_0003);
    expect(refusal(answerOption(tls, over, 5, none))[1]).toBe(0x8000_0003);
  });
});
