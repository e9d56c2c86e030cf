/** Whatever clients send, the server serves the next one, and keeps nothing of them. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  NbdClient,
  contextData,
  infoData,
  optionHead,
  requestBytes,
  u32,
  u64,
} from "../../../support/nbd/nbd-client.ts";
import { testDevice } from "../../../support/nbd/test-device.ts";
import { startTestServer, type TestServer } from "../../../support/nbd/test-server.ts";

const mib = 1024 * 1024;
const device = testDevice([mib, -mib, 100_000]);
let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ exports: [{ name: "os", description: "", device }] });
});
afterAll(() => server.stop());

/** Numbers where things change. */
const edge32 = fc.oneof(
  fc.constantFrom(0, 1, 3, 4095, 65_536, 65_537, 33_554_432, 33_554_433, 0x7fff_ffff, 0xffff_ffff),
  fc.nat({ max: 3_000_000 }),
);
const edge64 = fc.oneof(
  fc.constantFrom(0n, 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
  fc.bigInt({ min: 0n, max: 3_000_000n }),
);
const garbage = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));

const optionBytes = fc.oneof(
  fc
    .tuple(fc.nat({ max: 12 }), edge32, garbage)
    .map(([code, length, data]) => Buffer.concat([optionHead(code, length), data])),
  fc.tuple(fc.nat({ max: 12 }), garbage).map(([code, data]) => Buffer.concat([optionHead(code, data.length), data])),
  fc.constantFrom(
    Buffer.concat([optionHead(7, 12), infoData("os", [3, 1])]).subarray(0, 27),
    Buffer.concat([optionHead(8, 0)]),
    Buffer.concat([optionHead(10, 29), contextData("os", ["base:allocation"])]),
    Buffer.concat([optionHead(7, 8), infoData("os", [])]),
    Buffer.concat([optionHead(1, 2), Buffer.from("os")]),
  ),
  garbage,
);

const requests = fc.oneof(
  fc
    .record({
      type: fc.nat({ max: 9 }),
      flags: fc.constantFrom(0, 0, 0, 1, 4, 8, 0xffff),
      offset: edge64,
      length: edge32,
    })
    .map((fields) => requestBytes(fields)),
  garbage,
);

const flags = fc.constantFrom(Buffer.alloc(0), u32(0), u32(3), u32(3), u32(3), u32(0xffff_ffff), u64(0));

async function speak(parts: readonly Buffer[], client: NbdClient): Promise<void> {
  client.socket.resume();
  for (const part of parts) {
    client.send(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.close();
}

async function expectServes(): Promise<void> {
  const client = await NbdClient.entered(server.address, "os");
  expect((await client.readRange(mib - 10, mib + 20)).equals(device.bytes.subarray(mib - 10, 2 * mib + 10))).toBe(true);
  client.request({ type: 2 });
  await client.ended();
}

test("Any handshake leaves the server as it was", async () => {
  await fc.assert(
    fc.asyncProperty(flags, fc.array(optionBytes, { maxLength: 6 }), async (first, options) => {
      await speak([first, ...options], await NbdClient.connect(server.address));
    }),
    { numRuns: 150 },
  );
  await expectServes();
  await vi.waitFor(() => expect(server.connections).toBe(0));
});

test("Any requests leave the server as it was", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(requests, { maxLength: 8 }), fc.boolean(), async (sent, structured) => {
      await speak(sent, await NbdClient.entered(server.address, "os", { structured }));
    }),
    { numRuns: 150 },
  );
  await expectServes();
  await vi.waitFor(() => expect(server.connections).toBe(0));
  expect(server.logged.filter((line) => /failed/.test(line))).toEqual([]);
});

test("What they sent was really looked at", () => {
  // Each comes dozens of times.
  const ended = server.logged.filter((line) => line.startsWith("nbd-connection-ended")).join("\n");
  for (const reason of [
    "it set flags that are not known",
    "it sent what is no option",
    "it left during the handshake",
    "it left without saying so",
    "it sent what is no request",
  ]) {
    expect(ended).toContain(reason);
  }
});

test("Lengths of gigabytes allocate nothing", async () => {
  const before = process.memoryUsage.rss();
  for (let n = 0; n < 20; n++) {
    const client = await NbdClient.greeted(server.address);
    client.send(optionHead(3 + (n % 8), 0xffff_ffff));
    await client.ended();
    const writer = await NbdClient.entered(server.address, "os");
    writer.request({ type: 1, length: 0xffff_ffff });
    await writer.ended();
  }
  expect(process.memoryUsage.rss() - before).toBeLessThan(64 * mib);
  await expectServes();
});
