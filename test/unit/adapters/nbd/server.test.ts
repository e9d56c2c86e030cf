/** The server over devices in memory, spoken to byte by byte. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { lstat, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNbdServer, type NbdServerOptions } from "../../../../shared/adapters/nbd/nbd-server.ts";
import { systemClock } from "../../../../shared/adapters/local/system-clock.ts";
import { FarsideError } from "../../../../shared/core/errors.ts";
import { type EnterOptions, NbdClient, infoData, optionHead, statusOf } from "../../../support/nbd/nbd-client.ts";
import { testDevice } from "../../../support/nbd/test-device.ts";
import { startTestServer, type TestServer } from "../../../support/nbd/test-server.ts";

const kib = 1024;
const mib = 1024 * kib;
const never = new AbortController().signal;

const servers: TestServer[] = [];
const clients: NbdClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const server of servers.splice(0)) await server.stop();
});

async function start(options: Partial<NbdServerOptions>): Promise<TestServer> {
  const server = await startTestServer(options);
  servers.push(server);
  return server;
}

async function enter(server: TestServer, name: string, options: EnterOptions = {}): Promise<NbdClient> {
  const client = await NbdClient.entered(server.address, name, options);
  clients.push(client);
  return client;
}

describe("A read", () => {
  // 3 MiB of data, 5 MiB of zeros, 200 KiB and a bit of data.
  const stretches = [3 * mib, -5 * mib, 200 * kib + 17];

  test.each([false, true])(
    "gives what the device holds, whatever range it asks for (extents that lie: %s)",
    async (lies) => {
      const device = testDevice(stretches, lies);
      const client = await enter(await start({ exports: [{ name: "os", description: "", device }] }), "os");
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
    const client = await enter(await start({ exports: [{ name: "os", description: "", device }] }), "os");
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
    const client = await enter(await start({ exports: [{ name: "os", description: "", device }] }), "os");
    client.request({ type: 0, flags: 4, offset: 2 * mib, length: 2 * mib });
    const [chunk, ...more] = await client.reply();
    expect(more).toEqual([]);
    expect(chunk?.payload.subarray(8).equals(device.bytes.subarray(2 * mib, 4 * mib))).toBe(true);
    client.request({ type: 0, flags: 4, offset: 0, length: 8 * mib });
    expect((await client.chunk()).payload.readUInt32BE()).toBe(75);
  });

  test.each([kib, 6 * mib])("of a client without chunks has a simple reply (%d bytes)", async (length) => {
    const device = testDevice(stretches);
    const client = await enter(await start({ exports: [{ name: "os", description: "", device }] }), "os", {
      structured: false,
    });
    client.request({ type: 0, cookie: 9n, offset: 5, length });
    client.request({ type: 3, cookie: 10n });
    const one = await client.simpleReply(length);
    expect(one).toMatchObject({ error: 0, cookie: 9n });
    expect(one.data.equals(device.bytes.subarray(5, 5 + length))).toBe(true);
    expect(await client.simpleReply(0)).toMatchObject({ error: 0, cookie: 10n });
  });

  test("of the old way to enter works too", async () => {
    const device = testDevice([4096]);
    const server = await start({ exports: [{ name: "os", description: "", device }] });
    const client = await NbdClient.greeted(server.address, 0);
    clients.push(client);
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
    const server = await start({
      exports: [{ name: "os", description: "", device: failing() }],
    });
    const client = await enter(server, "os");
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
    const server = await start({ exports: [{ name: "os", description: "", device: failing() }] });
    const client = await enter(server, "os", { structured: false });
    client.request({ type: 0, offset: 5 * mib, length: kib });
    expect(await client.simpleReply(kib)).toMatchObject({ error: 5 });
    client.request({ type: 0, offset: 0, length: 8 * mib });
    await expect(client.simpleReply(8 * mib)).rejects.toThrow(/The connection ended/);
    await expect(enter(server, "os")).resolves.toBeDefined();
  });
});

describe("Block status", () => {
  const stretches = [mib, -2 * mib, mib, -4 * mib, 512];

  test.each([false, true])("tells data from holes within the range (extents that lie: %s)", async (lies) => {
    const device = testDevice(stretches, lies);
    const client = await enter(await start({ exports: [{ name: "os", description: "", device }] }), "os");
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
    const client = await enter(await start({ exports: [{ name: "os", description: "", device }] }), "os");
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
    const server = await start({ exports });
    const client = await enter(server, "data", { context: "os" });
    client.request({ type: 7, length: 4096 });
    const [reply] = await client.reply();
    expect(reply).toMatchObject({ type: 0x8001, done: true });
    expect(reply?.payload.readUInt32BE()).toBe(22);
  });
});

describe("Other requests", () => {
  test("are answered as a read-only export does, and their payload is skipped", async () => {
    const device = testDevice([mib]);
    const server = await start({ exports: [{ name: "os", description: "", device }] });
    const client = await enter(server, "os");
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
    const client = await enter(await start({ exports: [{ name: "os", description: "", device }] }), "os");
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
    const server = await start({ exports: [{ name: "os", description: "", device }] });
    const client = await enter(server, "os");
    client.request({ type: 0, length: mib });
    client.request({ type: 2 });
    await vi.waitFor(() => expect(device.reads.length).toBeGreaterThan(0));
    release();
    expect((await client.chunk()).payload.subarray(8).equals(device.bytes)).toBe(true);
    await client.ended();
  });
});

describe("Limits", () => {
  test("hold a client back that sends more than is worked on, and lose nothing", async () => {
    const device = testDevice([4 * mib]);
    let inFlight = 0;
    let most = 0;
    device.onRead = async (_offset, length) => {
      inFlight += length;
      most = Math.max(most, inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      inFlight -= length;
    };
    const limits = { connectionBytes: 128 * kib, connectionRequests: 4 };
    const server = await start({ exports: [{ name: "os", description: "", device }], limits });
    const client = await enter(server, "os");
    for (let n = 0; n < 64; n++) client.request({ type: 0, cookie: BigInt(n), offset: n * 64 * kib, length: 64 * kib });
    const seen = new Set<bigint>();
    for (let n = 0; n < 64; n++) {
      const { cookie, payload } = await client.chunk();
      seen.add(cookie);
      const at = Number(cookie) * 64 * kib;
      expect(payload.subarray(8).equals(device.bytes.subarray(at, at + 64 * kib))).toBe(true);
    }
    expect(seen.size).toBe(64);
    expect(most).toBeLessThanOrEqual(128 * kib);
    // A range longer than the limit is cut to it.
    expect((await client.readRange(0, 4 * mib)).equals(device.bytes)).toBe(true);
  });

  test("keep what is in flight bounded while clients do not read, and others are served", async () => {
    const device = testDevice([4 * mib]);
    const server = await start({ exports: [{ name: "os", description: "", device }] });
    const stalled = await Promise.all(Array.from({ length: 16 }, () => enter(server, "os")));
    for (const client of stalled) {
      client.socket.pause();
      for (let n = 0; n < 64; n++) client.request({ type: 0, cookie: BigInt(n), length: 4 * mib });
    }
    await vi.waitFor(() => expect(device.reads.length).toBeGreaterThan(16));
    const client = await enter(server, "os");
    expect((await client.readRange(0, 4 * mib)).equals(device.bytes)).toBe(true);
    // Each has at most its 4 MiB read, and what its socket took.
    expect(device.reads.length).toBeLessThan(16 * 4 * 3);
  });

  test("turn away connections beyond their number, and take one again when one has left", async () => {
    const device = testDevice([4096]);
    const server = await start({ exports: [{ name: "os", description: "", device }], limits: { connections: 2 } });
    const [first] = await Promise.all([enter(server, "os"), enter(server, "os")]);
    await expect(NbdClient.greeted(server.address)).rejects.toThrow(/The connection ended|ECONNRESET|EPIPE/);
    expect(server.logged.join()).toContain("nbd-connection-refused connections=2");
    first.request({ type: 2 });
    await first.ended();
    await vi.waitFor(() => expect(server.connections).toBe(1));
    await expect(enter(server, "os")).resolves.toBeDefined();
  });

  test("drop who does not come to an end with the handshake, and nobody who has", async () => {
    let pass = (): void => undefined;
    const time = new Promise<void>((resolve) => (pass = resolve));
    const clock = {
      ...systemClock,
      sleep: (_ms: number, signal: AbortSignal) =>
        Promise.race([
          time,
          new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted")))),
        ]),
    };
    const server = await start({ exports: [{ name: "os", description: "", device: testDevice([4096]) }], clock });
    const entered = await enter(server, "os");
    const idle = await NbdClient.greeted(server.address);
    pass();
    await idle.ended();
    await vi.waitFor(() => expect(server.logged.join()).toContain("its handshake took too long"));
    expect(await entered.readRange(0, 4096)).toHaveLength(4096);
  });

  test("drop who sends options without end", async () => {
    const server = await start({ exports: [], limits: { handshakeOptions: 10 } });
    const client = await NbdClient.greeted(server.address);
    for (let n = 0; n < 10; n++) await client.option(7, infoData("nope", []));
    client.send(optionHead(7, 0));
    await client.ended();
    await vi.waitFor(() => expect(server.logged.join()).toContain("it sent too many options"));
  });
});

describe("The server", () => {
  test("stops within its time though a device does not answer, and tells who waits", async () => {
    const device = testDevice([mib]);
    device.onRead = (_offset, _length, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    const server = await start({ exports: [{ name: "os", description: "", device }], limits: { stopMs: 200 } });
    const polite = await enter(server, "os");
    polite.request({ type: 0, cookie: 8n, length: mib });
    const greeted = await NbdClient.greeted(server.address);
    clients.push(greeted);
    await vi.waitFor(() => expect(device.reads.length).toBe(1));
    const stopping = server.stop();
    const { cookie, payload } = await polite.chunk();
    expect([cookie, payload.readUInt32BE()]).toEqual([8n, 108]);
    await polite.ended();
    await greeted.ended();
    await stopping;
    await expect(NbdClient.connect(server.address)).rejects.toThrow(/ENOENT|ECONNREFUSED/);
  });

  test("stops though a device never answers at all", async () => {
    const device = testDevice([mib]);
    device.onRead = () => new Promise(() => undefined);
    const server = await start({ exports: [{ name: "os", description: "", device }], limits: { stopMs: 50 } });
    const client = await enter(server, "os");
    client.request({ type: 0, length: mib });
    await vi.waitFor(() => expect(device.reads.length).toBe(1));
    await server.stop();
    await client.ended();
  });

  test("lets only this user connect to its socket", async () => {
    const before = process.umask(0);
    try {
      const server = await start({});
      expect(((await lstat(server.path)).mode & 0o777).toString(8)).toBe("600");
      expect(process.umask()).toBe(0);
    } finally {
      process.umask(before);
    }
  });

  test("listens on loopback addresses without TLS, and refuses others, saying what to give", async () => {
    const device = testDevice([4096]);
    const local = await start({
      exports: [{ name: "os", description: "", device }],
      listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
    });
    expect(local.address).toMatchObject({ host: "127.0.0.1", port: expect.any(Number) as number });
    expect(await (await enter(local, "os")).readRange(0, 4096)).toHaveLength(4096);
    for (const host of ["0.0.0.0", "::", "backup.example"]) {
      await expect(startTestServer({ listen: { kind: "tcp", host, port: 0 } })).rejects.toMatchObject({
        code: "bad-input",
        message: expect.stringContaining("--tls-cert, --tls-key and --tls-ca") as string,
      });
    }
    const taken = startTestServer({ listen: local.address });
    await expect(taken).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringContaining("EADDRINUSE") as string,
    });
  });

  test("takes the place of a socket that nobody listens on, and of nothing else", async () => {
    const folder = await mkdtemp(join(tmpdir(), "farside-nbd-"));
    try {
      const path = join(folder, "socket");
      const listen = { kind: "unix", path } as const;
      const log = { log: () => undefined };
      const begin = (): ReturnType<typeof startNbdServer> =>
        startNbdServer({ exports: [], listen, clock: systemClock, log }, never);

      await writeFile(path, "a file");
      await expect(begin()).rejects.toMatchObject({ code: "already-exists" });
      await rm(path);

      const other = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve) => other.listen(path, resolve));
      await expect(begin()).rejects.toMatchObject({ code: "in-use" });
      await new Promise((resolve) => other.close(resolve));

      await leaveDeadSocket(path);
      const server = await begin();
      await server.stop();
      await expect(lstat(path)).rejects.toThrow(/ENOENT/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("refuses certificates that are none before it listens", async () => {
    const tls = { cert: "nonsense", key: "nonsense", ca: "nonsense" };
    await expect(startTestServer({ tls })).rejects.toMatchObject({ code: "bad-input" });
  });

  test("says that it has no TLS where it has no certificates", async () => {
    const server = await start({ exports: [{ name: "os", description: "", device: testDevice([512]) }] });
    const client = await NbdClient.greeted(server.address);
    clients.push(client);
    expect((await client.option(5))[0]?.type).toBe(0x8000_0002);
    expect((await client.option(3)).map(({ type }) => type)).toEqual([2, 1]);
  });
});

/** A socket's file as a process leaves it that was killed. */
async function leaveDeadSocket(path: string): Promise<void> {
  const { spawn } = await import("node:child_process");
  const program = `require("net").createServer().listen(${JSON.stringify(path)},()=>process.kill(process.pid,"SIGKILL"))`;
  const child = spawn(process.execPath, ["-e", program]);
  await new Promise((resolve) => child.once("exit", resolve));
  expect((await lstat(path)).isSocket()).toBe(true);
}
