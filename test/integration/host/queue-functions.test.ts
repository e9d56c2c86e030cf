import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { base64, depth, eventually, HostBench, peekAll } from "../../support/host/local-app.ts";

let bench: HostBench;

beforeAll(async () => {
  bench = await HostBench.start();
});
afterAll(() => bench.stop());

async function filledQueue(name: string, ...messages: string[]): Promise<ReturnType<HostBench["queue"]>> {
  const queue = bench.queue(name);
  await queue.create();
  for (const message of messages) await queue.sendMessage(base64(message));
  return queue;
}

describe("A queue function", () => {
  test("gets the text as JSON where it is JSON, with metadata that the message's own properties hide, and its message is deleted", async () => {
    const task = { dequeueCount: 77, Note: "kept", list: [1], nested: { a: 1 } };
    const queue = await filledQueue("values", JSON.stringify(task), "plain text", "123");
    const app = await bench.app({
      queues: { batchSize: 1, newBatchThreshold: 0 },
      source: `app.storageQueue("reader", { queueName: "values", connection: "", handler: (item, context) => {
        context.log("read", 1);
        note({ item, metadata: context.triggerMetadata });
      } });`,
    });
    await app.host();
    const notes = await eventually("three messages", async () => {
      const all = await app.noted();
      return all.length === 3 && (all as { item: unknown; metadata: Record<string, unknown> }[]);
    });
    expect(notes.map(({ item }) => item)).toEqual([task, "plain text", 123]);
    expect(notes[0]?.metadata).toMatchObject({ dequeueCount: 77, note: "kept", nested: { a: 1 } });
    expect(notes[0]?.metadata).not.toHaveProperty("list");
    expect(notes[1]?.metadata, "the control: without such properties they are the message's").toMatchObject({
      queueTrigger: "plain text",
      dequeueCount: 1,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      insertionTime: expect.stringMatching(/^2\d{3}-.*\+00:00$/),
    });
    await eventually("an empty queue", async () => (await depth(queue)) === 0);
    expect(app.logged(/^Function\.reader\.User: read 1$/)).toHaveLength(3);
  });

  test("runs at most batchSize + newBatchThreshold messages at once, and really that many", async () => {
    await filledQueue("wide", ...Array.from({ length: 9 }, (_, index) => `m${index}`));
    const app = await bench.app({
      queues: { batchSize: 2, newBatchThreshold: 1 },
      source: `let now = 0; app.storageQueue("wide", { queueName: "wide", connection: "", handler: async (item) => {
        note(++now); await sleep(item === "m0" ? 600 : 100); now--;
      } });`,
    });
    await app.host();
    const counts = await eventually("nine messages", async () => {
      const all = await app.noted();
      return all.length === 9 && (all as number[]);
    });
    expect(Math.max(...counts)).toBe(3);
  });

  test("keeps a message that takes long invisible by renewing it", async () => {
    const queue = await filledQueue("long", "slow");
    const app = await bench.app({
      source: `app.storageQueue("long", { queueName: "long", connection: "", handler: async () => {
        note("begin"); await sleep(5000); note("end");
      } });`,
    });
    // Without its renewals a message would be delivered again after 2 s.
    await app.host({ queueVisibilityMs: 2000, queueRenewalMs: 1000 });
    await eventually("the end", async () => (await app.noted()).includes("end"));
    await eventually("an empty queue", async () => (await depth(queue)) === 0);
    await sleep(500);
    expect(await app.noted()).toEqual(["begin", "end"]);
  });

  test("is delivered the message again after 2 s when it is not renewed: the control of the test before", async () => {
    await filledQueue("unheld", "slow");
    const app = await bench.app({
      source: `app.storageQueue("unheld", { queueName: "unheld", connection: "", handler: async () => {
        note("begin"); await sleep(5000); note("end");
      } });`,
    });
    await app.host({ queueVisibilityMs: 2000, queueRenewalMs: 60_000 });
    await eventually("a second delivery", async () => (await app.noted()).length >= 2);
    expect((await app.noted()).slice(0, 2)).toEqual(["begin", "begin"]);
  });

  test("gets a message that failed again after visibilityTimeout, and not before", async () => {
    const queue = await filledQueue("failing", "task");
    const app = await bench.app({
      queues: { visibilityTimeout: "00:00:02" },
      source: `app.storageQueue("failing", { queueName: "failing", connection: "", handler: (item, context) => {
        note(context.triggerMetadata.dequeueCount);
        if (context.triggerMetadata.dequeueCount < 3) throw new Error("not yet");
      } });`,
    });
    await app.host();
    await eventually("an empty queue", async () => (await app.noted()).length === 3 && (await depth(queue)) === 0);
    const [first, second, third] = await app.notes();
    expect([first?.value, second?.value, third?.value]).toEqual([1, 2, 3]);
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(1900);
    expect((third?.at ?? 0) - (second?.at ?? 0)).toBeGreaterThanOrEqual(1900);
    expect(app.logged(/Executed 'Functions\.failing' \(Failed.*Error: not yet/s)).toHaveLength(2);
  });

  test("has a message moved to the poison queue after five failures, as it was, and the function on that queue gets it", async () => {
    const queue = await filledQueue("fragile", "poisonous");
    const app = await bench.app({
      queues: { visibilityTimeout: "00:00:00" },
      source: `
        app.storageQueue("fragile", { queueName: "fragile", connection: "", handler: () => { note("run"); throw new Error("always"); } });
        app.storageQueue("afterwards", { queueName: "fragile-poison", connection: "", handler: (item) => note({ item }) });`,
    });
    await app.host();
    await eventually("the poison function", async () => (await app.noted()).length === 6);
    expect(await app.noted()).toEqual(["run", "run", "run", "run", "run", { item: "poisonous" }]);
    await eventually("an empty queue", async () => (await depth(queue)) === 0);
    await eventually("an empty poison queue", async () => (await depth(bench.queue("fragile-poison"))) === 0);
  });

  test("never sees a message that is not Base64: it is in the poison queue at once, unchanged", async () => {
    const queue = bench.queue("encoded");
    await queue.create();
    await queue.sendMessage("{not base64}");
    await queue.sendMessage(base64("fine"));
    const app = await bench.app({
      source: `app.storageQueue("encoded", { queueName: "encoded", connection: "", handler: (item) => note(item) });`,
    });
    await app.host();
    const poison = bench.queue("encoded-poison");
    const raw = await eventually("a poison message", async () => {
      const answer = await poison.peekMessages().catch(() => undefined);
      return answer?.peekedMessageItems[0]?.messageText;
    });
    expect(raw).toBe("{not base64}");
    await eventually("an empty queue", async () => (await depth(queue)) === 0);
    expect(await app.noted()).toEqual(["fine"]);
  });

  test("is not run for a message that was delivered too often: that goes to the poison queue without a run", async () => {
    const queue = await filledQueue("weary", "often");
    for (let count = 0; count < 2; count += 1) {
      const message = (await queue.receiveMessages({ visibilityTimeout: 1 })).receivedMessageItems[0];
      if (message !== undefined) await queue.updateMessage(message.messageId, message.popReceipt, undefined, 0);
    }
    const app = await bench.app({
      queues: { maxDequeueCount: 2 },
      source: `app.storageQueue("weary", { queueName: "weary", connection: "", handler: () => note("run") });`,
    });
    await app.host();
    await eventually("a poison message", async () => (await peekAll(bench.queue("weary-poison"))).includes("often"));
    expect(await app.noted()).toEqual([]);
  });

  test("leaves a failed message of a poison queue invisible for the rest of its time, and does not make poison of poison", async () => {
    const queue = await filledQueue("old-poison", "again");
    const app = await bench.app({
      queues: { maxDequeueCount: 2, visibilityTimeout: "00:00:00" },
      source: `app.storageQueue("old", { queueName: "old-poison", connection: "", handler: () => { note("run"); throw new Error("no"); } });`,
    });
    await app.host({ queueVisibilityMs: 1000 });
    await eventually("two runs", async () => (await app.noted()).length === 2);
    const [first, second] = await app.notes();
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(900);
    await sleep(2500);
    expect(await app.noted(), "past maxDequeueCount it is never run again").toHaveLength(2);
    expect(await depth(queue), "and stays").toBe(1);
    expect(await peekAll(bench.queue("old-poison-poison"))).toEqual([]);
  });

  test("waits for a queue that nobody has made yet, without an error", async () => {
    const app = await bench.app({
      source: `app.storageQueue("early", { queueName: "early", connection: "", handler: (item) => note(item) });`,
    });
    await app.host();
    await sleep(500);
    await filledQueue("early", "at last");
    await eventually("the message", async () => (await app.noted()).includes("at last"));
    expect(app.log.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("sends its outputs after a success, an array as several messages in order, and nothing after a failure", async () => {
    await filledQueue("source", "good", "bad");
    const app = await bench.app({
      queues: { maxDequeueCount: 1, batchSize: 1, newBatchThreshold: 0 },
      source: `
        const many = output.storageQueue({ queueName: "many", connection: "" });
        app.storageQueue("source", {
          queueName: "source", connection: "",
          extraOutputs: [many],
          return: output.storageQueue({ queueName: "%RETURNS%", connection: "" }),
          handler: (item, context) => {
            context.extraOutputs.set(many, [item, { n: 2 }, [3]]);
            if (item === "bad") throw new Error("bad");
            return { returned: item };
          },
        });`,
      settings: { RETURNS: "returns" },
    });
    await app.host();
    await eventually("the poison message", async () => (await peekAll(bench.queue("source-poison"))).includes("bad"));
    expect(await peekAll(bench.queue("many"))).toEqual(["good", '{"n":2}', "[3]"]);
    expect(await peekAll(bench.queue("returns"))).toEqual(['{"returned":"good"}']);
  });

  test("fails when its output cannot be written, and its message is tried again", async () => {
    await filledQueue("outsized", "task");
    const app = await bench.app({
      source: `
        const out = output.storageQueue({ queueName: "never", connection: "" });
        app.storageQueue("outsized", { queueName: "outsized", connection: "", extraOutputs: [out], handler: (item, context) => {
          note(context.triggerMetadata.dequeueCount);
          context.extraOutputs.set(out, context.triggerMetadata.dequeueCount === 1 ? "x".repeat(80_000) : "small");
        } });`,
    });
    await app.host();
    await eventually("the small output", async () => (await peekAll(bench.queue("never"))).includes("small"));
    expect(await app.noted()).toEqual([1, 2]);
    expect(app.logged(/output could not be written/)).toHaveLength(1);
  });

  test("goes on after an outage of the storage, which is said once and not at every try", async () => {
    const storm = await HostBench.start();
    const queue = storm.queue("stormy");
    await queue.create();
    const app = await storm.app({
      source: `app.storageQueue("stormy", { queueName: "stormy", connection: "", handler: (item) => note(item) });`,
    });
    await app.host();
    storm.azurite.freeze();
    await sleep(1500);
    storm.azurite.thaw();
    await queue.sendMessage(base64("after the outage"));
    await eventually("the message", async () => (await app.noted()).includes("after the outage"));
    await storm.azurite.stop();
    await eventually("the error", () => app.logged(/cannot be fetched/).length > 0);
    await sleep(5000);
    expect(app.log.filter(({ level }) => level === "error")).toHaveLength(1);
    await storm.stop();
  });

  test("is woken by a message that this host sends, without waiting for the next look", async () => {
    await filledQueue("pong");
    await filledQueue("ping");
    const app = await bench.app({
      queues: { maxPollingInterval: "00:01:00" },
      source: `
        app.http("start", { methods: ["POST"], authLevel: "anonymous", extraOutputs: [output.storageQueue({ name: "out", queueName: "ping", connection: "" })],
          handler: (request, context) => { context.extraOutputs.set("out", "hello"); note("sent"); return { status: 202 }; } });
        app.storageQueue("ping", { queueName: "ping", connection: "", handler: (item) => note(item) });`,
    });
    const host = await app.host({ queueMinPollingMs: 30_000 });
    await sleep(500);
    expect((await fetch(`${host.url}/api/start`, { method: "POST" })).status).toBe(202);
    await eventually("the message", async () => (await app.noted()).includes("hello"), 5000);
  });
});
