/** Reads, block status and other requests over devices in memory, spoken byte by byte. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { FarsideError } from "../../../../shared/core/errors.ts";
import { optionHead, statusOf } from "../../../support/nbd/nbd-client.ts";
import { NbdSessions } from "../../../support/nbd/nbd-sessions.ts";
import { testDevice } from "../../../support/nbd/test-device.ts";

const kib = 1024;
const mib = 1024 * kib;
const sessions = new NbdSessions();
afterEach(() => sessions.end());

describe("A read", () => {
  // 3 MiB of data, 5 MiB of zeros, 200 KiB and a bit of data.
  const stretches = [3 * mib, -5 * mib, 200 * kib + 17];

  test.each([false, true])(
    "gives what the device holds, whatever range it asks for (extents that lie: %s)",
    async (lies) => {
      const device = testDevice(stretches, lies);
      const client = await sessions.enter(
        await sessions.start({ exports: [{ name: "os", description: "", device }] }),
        "os",
      );
      const ranges = [
        [0, device.sizeBytes],
        [0, 1],
        [device.sizeBytes - 1, 1],
        [3 * mib - 1, 2],
        [3 * mib, 5 * mib],
        [mib - 3, 3 * mib + 5],
        [8 * mib - 1, 100],
      ] as const;
      for (const [offset, length] of ranges) {
        const content = await client.readRange(offset, length);
        expect(content.equals(device.bytes.subarray(offset, offset + length))).toBe(true);
      }
    },
  );

  test("sends holes as holes, reads none of them, and one chunk where there is one stretch", async () => {
    const device = testDevice(stretches);
    const client = await sessions.enter(
      await sessions.start({ exports: [{ name: "os", description: "", device }] }),
      "os",
    );
    client.request({ type: 0, offset: 4 * mib, length: 3 * mib });
    expect(await client.reply()).toMatchObject([{ type: 2, done: true }]);
    expect(device.reads).toEqual([]);
    client.request({ type: 0, offset: 512, length: 512 });
    expect(await client.reply()).toMatchObject([{ type: 1, done: true }]);
    client.request({ type: 0, offset: 2 * mib - 1, length: 4 * mib });
    const chunks = await client.reply();
    expect(chunks.map(({ type }) => type).toSorted((one, other) => one - other)).toEqual([0, 1, 1, 2]);
    expect(chunks.at(-1)).toMatchObject({ type: 0, done: true });
  });

  test("that must not be cut comes in one chunk, its zeros too", async () => {
    const device = testDevice(stretches);
    const client = await sessions.enter(
      await sessions.start({ exports: [{ name: "os", description: "", device }] }),
      "os",
    );
    client.request({ type: 0, flags: 4, offset: 2 * mib, length: 2 * mib });
    const [chunk, ...more] = await client.reply();
    expect(more).toEqual([]);
    expect(chunk?.payload.subarray(8).equals(device.bytes.subarray(2 * mib, 4 * mib))).toBe(true);
    client.request({ type: 0, flags: 4, offset: 0, length: 8 * mib });
    expect((await client.chunk()).payload.readUInt32BE()).toBe(75);
  });

  test.each([kib, 6 * mib])("of a client without chunks has a simple reply (%d bytes)", async (length) => {
    const device = testDevice(stretches);
    const client = await sessions.enter(
      await sessions.start({ exports: [{ name: "os", description: "", device }] }),
      "os",
      {
        structured: false,
      },
    );
    client.request({ type: 0, cookie: 9n, offset: 5, length });
    client.request({ type: 3, cookie: 10n });
    const one = await client.simpleReply(length);
    expect(one).toMatchObject({ error: 0, cookie: 9n });
    expect(one.data.equals(device.bytes.subarray(5, 5 + length))).toBe(true);
    expect(await client.simpleReply(0)).toMatchObject({ error: 0, cookie: 10n });
  });

  test("of the old way to enter works too", async () => {
    const device = testDevice([4096]);
    const server = await sessions.start({ exports: [{ name: "os", description: "", device }] });
    const client = await sessions.greet(server, 0);
    client.send(optionHead(1, 2), Buffer.from("os"));
    expect((await client.read(134)).readBigUInt64BE()).toBe(4096n);
    client.request({ type: 0, length: 4096 });
    expect((await client.simpleReply(4096)).data.equals(device.bytes)).toBe(true);
  });
});

describe("A read that fails", () => {
  const failing = (): ReturnType<typeof testDevice> => {
    const device = testDevice([8 * mib]);
    device.onRead = (offset, length) => {
      if (offset + length > 5 * mib) throw new FarsideError("vault-corrupt", "The chunk 12 is damaged.");
    };
    return device;
  };

  test("ends with an error and its reason, is logged, and the next one works", async () => {
    const server = await sessions.start({
      exports: [{ name: "os", description: "", device: failing() }],
    });
    const client = await sessions.enter(server, "os");
    for (const length of [kib, 3 * mib]) {
      await expect(client.readRange(5 * mib, length)).rejects.toThrow("error 5: The chunk 12 is damaged.");
    }
    // Some chunks came before; nothing comes after the error.
    await expect(client.readRange(3 * mib, 4 * mib)).rejects.toThrow("error 5");
    await expect(client.readRange(0, mib)).resolves.toHaveLength(mib);
    expect(server.logged.filter((line) => line.startsWith("nbd-read-failed"))).toHaveLength(3);
    expect(server.logged.join("\n")).toContain("export=os offset=5242880 length=1024 error=The chunk 12 is damaged.");
  });

  test("has a simple reply where it had not begun, else ends the connection", async () => {
    const server = await sessions.start({ exports: [{ name: "os", description: "", device: failing() }] });
    const client = await sessions.enter(server, "os", { structured: false });
    client.request({ type: 0, offset: 5 * mib, length: kib });
    expect(await client.simpleReply(kib)).toMatchObject({ error: 5 });
    client.request({ type: 0, offset: 0, length: 8 * mib });
    await expect(client.simpleReply(8 * mib)).rejects.toThrow(/The connection ended/);
    await expect(sessions.enter(server, "os")).resolves.toBeDefined();
  });
});

describe("Block status", () => {
  const stretches = [mib, -2 * mib, mib, -4 * mib, 512];

  test.each([false, true])("tells data from holes within the range (extents that lie: %s)", async (lies) => {
    const device = testDevice(stretches, lies);
    const client = await sessions.enter(
      await sessions.start({ exports: [{ name: "os", description: "", device }] }),
      "os",
    );
    client.request({ type: 7, offset: 512, length: 8 * mib });
    const [reply, ...more] = await client.reply();
    expect(more).toEqual([]);
    expect(reply).toMatchObject({ type: 5, done: true });
    expect(reply && statusOf(reply)).toEqual([
      [mib - 512, 0],
      [2 * mib, 3],
      [mib, 0],
      [4 * mib, 3],
      [512, 0],
    ]);
    client.request({ type: 7, flags: 8, offset: 2 * mib, length: mib / 2 });
    expect((await client.reply()).map(statusOf)).toEqual([[[mib / 2, 3]]]);
    expect(device.reads).toEqual([]);
  });

  test("stops at so many extents, and goes on where the client asks again", async () => {
    const device = testDevice(Array.from({ length: 9000 }, (_, n) => (n % 2 === 0 ? 512 : -512)));
    const client = await sessions.enter(
      await sessions.start({ exports: [{ name: "os", description: "", device }] }),
      "os",
    );
    const found: number[] = [];
    for (let offset = 0; offset < device.sizeBytes;) {
      client.request({ type: 7, offset, length: device.sizeBytes - offset });
      const extents = (await client.reply()).flatMap(statusOf);
      found.push(extents.length);
      offset += extents.reduce((sum, [length]) => sum + length, 0);
    }
    expect(found).toEqual([8192, 808]);
  });

  test("is refused where the context was chosen for another export", async () => {
    const exports = ["os", "data"].map((name) => ({ name, description: "", device: testDevice([4096]) }));
    const server = await sessions.start({ exports });
    const client = await sessions.enter(server, "data", { context: "os" });
    client.request({ type: 7, length: 4096 });
    const [reply] = await client.reply();
    expect(reply).toMatchObject({ type: 0x8001, done: true });
    expect(reply?.payload.readUInt32BE()).toBe(22);
  });
});

describe("Other requests", () => {
  test("are answered as a read-only export does, and their payload is skipped", async () => {
    const device = testDevice([mib]);
    const server = await sessions.start({ exports: [{ name: "os", description: "", device }] });
    const client = await sessions.enter(server, "os");
    client.request({ type: 1, cookie: 1n, length: 200_000 });
    client.send(Buffer.alloc(200_000, 0x25));
    for (const type of [4, 6]) client.request({ type, cookie: BigInt(type), length: 512 });
    client.request({ type: 3, cookie: 3n });
    client.request({ type: 5, cookie: 5n, length: mib });
    client.request({ type: 42, cookie: 42n });
    const replies = new Map<bigint, number>();
    for (let n = 0; n < 6; n++) {
      const { cookie, type, payload } = await client.chunk();
      replies.set(cookie, type === 0 ? 0 : payload.readUInt32BE());
    }
    expect(Object.fromEntries(replies)).toEqual({ 1: 1, 3: 0, 4: 1, 5: 0, 6: 1, 42: 22 });
    expect((await client.readRange(0, mib)).equals(device.bytes)).toBe(true);
  });

  test("to fill the cache read the data of the range, and send none of it", async () => {
    const device = testDevice([2 * mib, -mib, mib]);
    const client = await sessions.enter(
      await sessions.start({ exports: [{ name: "os", description: "", device }] }),
      "os",
    );
    client.request({ type: 5, offset: mib, length: 3 * mib });
    expect(await client.reply()).toMatchObject([{ type: 0 }]);
    expect(device.reads).toEqual([
      [mib, mib],
      [3 * mib, mib],
    ]);
  });

  test("to leave are followed once all is answered", async () => {
    const device = testDevice([mib]);
    let release = (): void => undefined;
    device.onRead = () => new Promise((resolve) => (release = resolve));
    const server = await sessions.start({ exports: [{ name: "os", description: "", device }] });
    const client = await sessions.enter(server, "os");
    client.request({ type: 0, length: mib });
    client.request({ type: 2 });
    await vi.waitFor(() => expect(device.reads.length).toBeGreaterThan(0));
    release();
    expect((await client.chunk()).payload.subarray(8).equals(device.bytes)).toBe(true);
    await client.ended();
  });
});
