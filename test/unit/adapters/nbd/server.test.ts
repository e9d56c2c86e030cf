/** The server's limits, its beginning and its end, over devices in memory. */
import { spawn } from "node:child_process";
import { lstat, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../../../shared/adapters/local/system-clock.ts";
import { startNbdServer } from "../../../../shared/adapters/nbd/nbd-server.ts";
import { infoData, NbdClient, optionHead } from "../../../support/nbd/nbd-client.ts";
import { NbdSessions } from "../../../support/nbd/nbd-sessions.ts";
import { testDevice } from "../../../support/nbd/test-device.ts";
import { startTestServer } from "../../../support/nbd/test-server.ts";

const kib = 1024;
const mib = 1024 * kib;
const never = new AbortController().signal;
const sessions = new NbdSessions();
afterEach(() => sessions.end());

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
    const server = await sessions.start({ exports: [{ name: "os", description: "", device }], limits });
    const client = await sessions.enter(server, "os");
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
    const server = await sessions.start({ exports: [{ name: "os", description: "", device }] });
    const stalled = await Promise.all(Array.from({ length: 16 }, () => sessions.enter(server, "os")));
    for (const client of stalled) {
      client.socket.pause();
      for (let n = 0; n < 64; n++) client.request({ type: 0, cookie: BigInt(n), length: 4 * mib });
    }
    await vi.waitFor(() => expect(device.reads.length).toBeGreaterThan(16));
    const client = await sessions.enter(server, "os");
    expect((await client.readRange(0, 4 * mib)).equals(device.bytes)).toBe(true);
    // Each has at most its 2 MiB read, and what its socket took.
    expect(device.reads.length).toBeLessThan(16 * 2 * 3);
  });

  test("turn away connections beyond their number, and take one again when one has left", async () => {
    const device = testDevice([4096]);
    const server = await sessions.start({
      exports: [{ name: "os", description: "", device }],
      limits: { connections: 2 },
    });
    const [first] = await Promise.all([sessions.enter(server, "os"), sessions.enter(server, "os")]);
    await expect(NbdClient.greeted(server.address)).rejects.toThrow(/The connection ended|ECONNRESET|EPIPE/);
    expect(server.logged.join()).toContain("nbd-connection-refused connections=2");
    first.request({ type: 2 });
    await first.ended();
    await vi.waitFor(() => expect(server.connections).toBe(1));
    await expect(sessions.enter(server, "os")).resolves.toBeDefined();
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
    const server = await sessions.start({
      exports: [{ name: "os", description: "", device: testDevice([4096]) }],
      clock,
    });
    const entered = await sessions.enter(server, "os");
    const idle = await sessions.greet(server);
    pass();
    await idle.ended();
    await vi.waitFor(() => expect(server.logged.join()).toContain("its handshake took too long"));
    expect(await entered.readRange(0, 4096)).toHaveLength(4096);
  });

  test("drop who sends options without end", async () => {
    const server = await sessions.start({ exports: [], limits: { handshakeOptions: 10 } });
    const client = await sessions.greet(server);
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
    const server = await sessions.start({
      exports: [{ name: "os", description: "", device }],
      limits: { stopMs: 200 },
    });
    const polite = await sessions.enter(server, "os");
    polite.request({ type: 0, cookie: 8n, length: mib });
    const greeted = await sessions.greet(server);
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
    const server = await sessions.start({ exports: [{ name: "os", description: "", device }], limits: { stopMs: 50 } });
    const client = await sessions.enter(server, "os");
    client.request({ type: 0, length: mib });
    await vi.waitFor(() => expect(device.reads.length).toBe(1));
    await server.stop();
    await client.ended();
  });

  test("lets only this user connect to its socket", async () => {
    const before = process.umask(0);
    try {
      const server = await sessions.start({});
      expect(((await lstat(server.path)).mode & 0o777).toString(8)).toBe("600");
      expect(process.umask()).toBe(0);
    } finally {
      process.umask(before);
    }
  });

  test("listens on loopback addresses without TLS, and refuses others, saying what to give", async () => {
    const device = testDevice([4096]);
    const local = await sessions.start({
      exports: [{ name: "os", description: "", device }],
      listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
    });
    expect(local.address).toMatchObject({ host: "127.0.0.1", port: expect.any(Number) as number });
    expect(await (await sessions.enter(local, "os")).readRange(0, 4096)).toHaveLength(4096);
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
    const server = await sessions.start({ exports: [{ name: "os", description: "", device: testDevice([512]) }] });
    const client = await sessions.greet(server);
    expect((await client.option(5))[0]?.type).toBe(0x8000_0002);
    expect((await client.option(3)).map(({ type }) => type)).toEqual([2, 1]);
  });
});

/** A socket's file as a process leaves it that was killed. */
async function leaveDeadSocket(path: string): Promise<void> {
  const program = `require("net").createServer().listen(${JSON.stringify(path)},()=>process.kill(process.pid,"SIGKILL"))`;
  const child = spawn(process.execPath, ["-e", program]);
  await new Promise((resolve) => child.once("exit", resolve));
  expect((await lstat(path)).isSocket()).toBe(true);
}
