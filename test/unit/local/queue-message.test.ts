import { describe, expect, test } from "vitest";
import { PollingDelay } from "../../../local/host/polling-delay.ts";
import { decodeMessage, encodeMessage, poisonQueueName, triggerMetadata } from "../../../local/host/queue-message.ts";
import { messagesOf } from "../../../local/host/queue-sender.ts";

const facts = {
  messageId: "the-id",
  popReceipt: "receipt",
  dequeueCount: 2,
  insertedOn: new Date("2026-01-02T03:04:05.000Z"),
  expiresOn: new Date("2026-01-09T03:04:05.000Z"),
  nextVisibleOn: new Date("2026-01-02T03:14:05.250Z"),
};

describe("A queue message", () => {
  test("is Base64 of UTF-8, and anything else is not a message", () => {
    expect(decodeMessage(encodeMessage("grün", "base64"), "base64")).toBe("grün");
    expect(decodeMessage("Z3LD\nvG4=", "base64")).toBe("grün");
    expect(decodeMessage("", "base64")).toBe("");
    const others = ["{}", "abc", "a===", "Z3LDvG4", "Z3-_"];
    expect(others.filter((body) => decodeMessage(body, "base64") !== undefined)).toEqual([]);
    expect(decodeMessage("{}", "none")).toBe("{}");
  });

  test("has its own metadata where its text is no object", () => {
    for (const text of ["plain", "[1]", "null", "7"]) {
      expect(triggerMetadata(facts, text)).toEqual({
        QueueTrigger: { string: text },
        DequeueCount: { json: "2" },
        Id: { string: "the-id" },
        PopReceipt: { string: "receipt" },
        InsertionTime: { json: '"2026-01-02T03:04:05+00:00"' },
        ExpirationTime: { json: '"2026-01-09T03:04:05+00:00"' },
        NextVisibleTime: { json: '"2026-01-02T03:14:05.250+00:00"' },
      });
    }
  });

  test("hides its own metadata behind properties of its text, whatever their case, but not behind arrays", () => {
    const text = JSON.stringify({
      id: 5,
      DEQUEUECOUNT: "many",
      popReceipt: [1],
      vm: "web",
      flag: true,
      deep: { a: null },
    });
    expect(triggerMetadata(facts, text)).toMatchObject({
      Id: { json: "5" },
      DequeueCount: { string: "many" },
      PopReceipt: { string: "receipt" },
      vm: { string: "web" },
      flag: { json: "true" },
      deep: { json: '{"a":null}' },
    });
  });

  test("of a poison queue, or of one with a very long name, has no poison queue to go to", () => {
    expect(poisonQueueName("work")).toBe("work-poison");
    expect(poisonQueueName("work-poison")).toBeUndefined();
    expect(poisonQueueName("q".repeat(56))).toHaveLength(63);
    expect(poisonQueueName("q".repeat(57))).toBeUndefined();
  });
});

describe("An output to a queue", () => {
  test("is one message, or one for each element of an array", () => {
    expect(messagesOf({ json: '["a",{"b":1},[2],null]' })).toEqual(["a", '{"b":1}', "[2]", "null"]);
    expect(messagesOf({ json: "[]" })).toEqual([]);
    expect(messagesOf({ json: '{"b":1}' })).toEqual(['{"b":1}']);
    expect(messagesOf({ string: "[1,2]" }), "a text is not taken apart").toEqual(["[1,2]"]);
    expect(messagesOf({ int: 0 })).toEqual(["0"]);
    expect(messagesOf({ bytes: new Uint8Array([1]) })).toEqual([new Uint8Array([1])]);
    expect(messagesOf(undefined)).toEqual([]);
    expect(() => messagesOf({ http: {} })).toThrow(/no message/);
  });
});

describe("The pause of a listener", () => {
  test("grows twofold from the least to the most, a fifth more or less, and begins anew after a find", () => {
    const pauses = (random: number): number[] => {
      const delay = new PollingDelay(100, 2000, () => random);
      return Array.from({ length: 7 }, () => delay.next());
    };
    expect(pauses(0.5)).toEqual([100, 200, 300, 500, 900, 1700, 2000]);
    expect(pauses(0)[3]).toBe(420);
    expect(pauses(1)[3]).toBeCloseTo(580);
    const delay = new PollingDelay(100, 2000, () => 0.5);
    delay.next();
    delay.next();
    delay.reset();
    expect(delay.next()).toBe(100);
    expect(new PollingDelay(100, 50).next(), "never more than the most").toBe(50);
  });
});
