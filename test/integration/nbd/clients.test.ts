/** The server against clients that others wrote: libnbd's tools and qemu-img, over a unix socket and over TLS. */
import { execFile, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nbdUri } from "../../../shared/core/nbd/nbd-uri.ts";
import type { FileDevice } from "../../support/images/file-device.ts";
import { makeCertificates, type Certificates } from "../../support/nbd/certificates.ts";
import { NbdClient, optionHead } from "../../support/nbd/nbd-client.ts";
import { openSparseDevice } from "../../support/nbd/sparse-device.ts";
import { connectTls } from "../../support/nbd/tls-client.ts";
import { startTestServer, type TestServer } from "../../support/nbd/test-server.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const mib = 1024 * 1024;
const imageBytes = 96 * mib + 512;

let folder: string;
let image: string;
let device: FileDevice;

/** Data at the start, in the middle and at the end, holes between. */
async function makeImage(path: string): Promise<void> {
  await writeFile(path, randomBytes(20 * mib));
  await truncate(path, imageBytes);
  const file = await open(path, "r+");
  await file.write(randomBytes(7 * mib + 100), 0, 7 * mib + 100, 50 * mib);
  await file.write(randomBytes(512), 0, 512, imageBytes - 512);
  await file.close();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-nbd-"));
  image = join(folder, "image.raw");
  await makeImage(image);
  device = await openSparseDevice(image);
});
afterAll(async () => {
  await device?.close();
  await rm(folder, { recursive: true, force: true });
});

async function same(path: string): Promise<boolean> {
  const [one, other] = await Promise.all([readFile(path), readFile(image)]);
  return one.equals(other);
}

const exports = (): readonly { name: string; description: string; device: FileDevice }[] => [
  { name: "os", description: "disk os of web1", device },
  { name: "lvm/data vg/web", description: "a logical volume", device },
];

describe.runIf(haveTools("nbdinfo", "nbdcopy"))("libnbd's tools", () => {
  let server: TestServer;
  const uri = (name: string): string => nbdUri(server.address, false, name);

  beforeAll(async () => {
    server = await startTestServer({ exports: exports(), defaultExport: "os" });
  });
  afterAll(() => server?.stop());

  test("list the exports with their sizes and what they can", async () => {
    const { stdout } = await run(tool("nbdinfo"), ["--list", "--json", uri("")]);
    const listed = JSON.parse(stdout) as { exports: Record<string, unknown>[] };
    expect(listed).toMatchObject({ protocol: "newstyle-fixed", TLS: false, structured: true });
    expect(listed.exports).toMatchObject([
      {
        "export-name": "os",
        description: "disk os of web1",
        "export-size": imageBytes,
        is_read_only: true,
        can_multi_conn: true,
        can_df: true,
        can_cache: true,
        can_trim: false,
        can_zero: false,
        contexts: ["base:allocation"],
        block_size_minimum: 1,
        block_size_preferred: mib,
        block_size_maximum: 32 * mib,
      },
      { "export-name": "lvm/data vg/web", "export-size": imageBytes },
    ]);
  });

  test("map what is data and what is a hole", async () => {
    const { stdout } = await run(tool("nbdinfo"), ["--map", "--json", uri("lvm/data vg/web")]);
    const map = (JSON.parse(stdout) as { offset: number; length: number; type: number }[]).map((extent) => [
      extent.offset / mib,
      extent.length / mib,
      extent.type,
    ]);
    expect(map).toEqual([
      [0, 20, 0],
      [20, 30, 3],
      [50, 8, 0],
      [58, 38, 3],
      [96, 512 / mib, 0],
    ]);
    const totals = await run(tool("nbdinfo"), ["--map", "--totals", uri("os")]);
    expect(totals.stdout).toMatch(/68\.0000?%|70\.8%\s+3 hole,zero/);
  });

  test("copy it over four connections, byte for byte, and read no holes", async () => {
    const target = join(folder, "copied.raw");
    const before = device.counts.bytes;
    await run(tool("nbdcopy"), ["--connections=4", "--requests=64", uri("os"), target]);
    expect(await same(target)).toBe(true);
    expect(device.counts.bytes - before).toBe(28 * mib + 512);
    const { blocks } = await stat(target);
    expect(blocks * 512).toBeLessThan(40 * mib);
    expect(server.logged.filter((line) => line.startsWith("nbd-read-failed"))).toEqual([]);
  });

  test("are told that an export is not there", async () => {
    await expect(run(tool("nbdinfo"), [uri("nope")])).rejects.toThrow(/server replied with error.*for export: nope/);
  });

  test("find the server as it was after a client was killed in the middle", async () => {
    const copying = execFile(tool("nbdcopy"), ["--connections=4", uri("os"), "null:"]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    copying.kill("SIGKILL");
    await new Promise((resolve) => copying.once("exit", resolve));
    await run(tool("nbdcopy"), [uri("os"), join(folder, "after.raw")]);
    expect(await same(join(folder, "after.raw"))).toBe(true);
    await expect.poll(() => server.connections).toBe(0);
  });
});

describe.runIf(hasPythonNbd())("libnbd from Python", () => {
  test("gets each error that the protocol names", async () => {
    const server = await startTestServer({ exports: exports() });
    try {
      const program = `
import nbd, sys, errno
def fails(name, call):
    try:
        call(); print(name, 0)
    except nbd.Error as error:
        print(name, error.errnum)
h = nbd.NBD(); h.add_meta_context("base:allocation"); h.set_strict_mode(0); h.connect_uri(sys.argv[1])
fails("write", lambda: h.pwrite(b"x" * 512, 0))
fails("trim", lambda: h.trim(512, 0))
fails("zero", lambda: h.zero(512, 0))
fails("flush", lambda: h.flush())
fails("empty", lambda: h.pread(0, 0))
fails("beyond", lambda: h.pread(513, ${imageBytes - 512}))
fails("long", lambda: h.pread(${33 * mib}, 0))
fails("whole", lambda: h.pread_structured(65536, 0, lambda *a: 0, nbd.CMD_FLAG_DF))
fails("cache", lambda: h.cache(${mib}, 0))
found = []
h.block_status(${90 * mib}, 0, lambda metacontext, offset, entries, err: found.append(entries), nbd.CMD_FLAG_REQ_ONE)
print("one", *found[0]); h.shutdown()
`;
      const { stdout } = await run("/usr/bin/python3", ["-c", program, nbdUri(server.address, false, "os")]);
      const errors = { write: 1, trim: 1, zero: 1, flush: 0, empty: 22, beyond: 22, long: 75, whole: 0, cache: 0 };
      const lines = Object.entries(errors).map(([name, number]) => `${name} ${number}`);
      expect(stdout.trim().split("\n")).toEqual([...lines, `one ${20 * mib} 0`]);
    } finally {
      await server.stop();
    }
  });
});

describe.runIf(haveTools("qemu-img"))("qemu-img", () => {
  let server: TestServer;
  const uri = (): string => nbdUri(server.address, false, "os");
  const qemu = async (...args: readonly string[]): Promise<string> => (await run(tool("qemu-img"), args)).stdout;

  beforeAll(async () => {
    server = await startTestServer({ exports: exports() });
  });
  afterAll(() => server?.stop());

  test("sees its size and its holes", async () => {
    expect(JSON.parse(await qemu("info", "--output=json", uri()))).toMatchObject({
      format: "raw",
      "virtual-size": imageBytes,
    });
    const map = JSON.parse(await qemu("map", "--output=json", uri())) as Record<string, unknown>[];
    expect(map.map(({ start, zero, data }) => [Number(start) / mib, zero, data])).toEqual([
      [0, false, true],
      [20, true, false],
      [50, false, true],
      [58, true, false],
      [96, false, true],
    ]);
  });

  test("finds it identical, and would find a difference", async () => {
    expect(await qemu("compare", "-f", "raw", "-F", "raw", uri(), image)).toContain("Images are identical");
    const other = join(folder, "other.raw");
    await run("cp", ["--sparse=always", image, other]);
    const file = await open(other, "r+");
    await file.write(Buffer.from("x"), 0, 1, 30 * mib);
    await file.close();
    await expect(qemu("compare", "-f", "raw", "-F", "raw", uri(), other)).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/Content mismatch/) as string,
    });
  });

  test("converts it to qcow2 that reads the same", async () => {
    const target = join(folder, "converted.qcow2");
    await qemu("convert", "-f", "raw", "-O", "qcow2", uri(), target);
    expect(await qemu("compare", "-f", "qcow2", "-F", "raw", target, image)).toContain("Images are identical");
  });

  test("may not write", async () => {
    await expect(qemu("bench", "-c", "1", "-w", "-f", "raw", uri())).rejects.toThrow(/read-only|permi/i);
  });
});

describe.runIf(haveTools("openssl", "nbdinfo", "nbdcopy", "qemu-img"))("Over TLS", () => {
  let server: TestServer;
  let certificates: Certificates;
  const port = (): number => (server.address.kind === "tcp" ? server.address.port : 0);
  const uri = (folder: string): string =>
    `${nbdUri(server.address, true, "os")}?tls-certificates=${encodeURIComponent(folder)}`;

  beforeAll(async () => {
    certificates = await makeCertificates(join(folder, "pki"));
    const pem = (name: string): Promise<string> => readFile(join(certificates.server, name), "utf8");
    const [cert, key, ca] = await Promise.all([pem("server-cert.pem"), pem("server-key.pem"), pem("ca-cert.pem")]);
    const listen = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
    server = await startTestServer({ exports: exports(), listen, tls: { cert, key, ca } });
  });
  afterAll(() => server?.stop());

  const refusals = (): number => server.logged.filter((line) => line.includes("its TLS handshake failed")).length;

  const imageOptions = (folder: string): readonly string[] => [
    "--object",
    `tls-creds-x509,id=tls0,endpoint=client,dir=${folder}`,
    "--image-opts",
    `driver=raw,file.driver=nbd,file.host=127.0.0.1,file.port=${port()},file.export=os,file.tls-creds=tls0`,
  ];

  test("a client with a certificate lists and copies", async () => {
    const { stdout } = await run(tool("nbdinfo"), ["--json", uri(certificates.client)]);
    expect(JSON.parse(stdout)).toMatchObject({ TLS: true, exports: [{ "export-size": imageBytes }] });
    const target = join(folder, "secured.raw");
    await run(tool("nbdcopy"), ["--connections=4", uri(certificates.client), target]);
    expect(await same(target)).toBe(true);
  });

  test("qemu-img does too", async () => {
    const target = join(folder, "secured.qcow2");
    const { stdout } = await run(tool("qemu-img"), ["info", "--output=json", ...imageOptions(certificates.client)]);
    expect(JSON.parse(stdout)).toMatchObject({ "virtual-size": imageBytes });
    await run(tool("qemu-img"), ["convert", "-O", "qcow2", ...imageOptions(certificates.client), target]);
    const compared = await run(tool("qemu-img"), ["compare", "-f", "qcow2", "-F", "raw", target, image]);
    expect(compared.stdout).toContain("Images are identical");
  });

  test("a client without a certificate learns nothing", async () => {
    await expect(run(tool("nbdinfo"), [uri(certificates.stranger)])).rejects.toThrow(/Command failed/);
    await expect(run(tool("qemu-img"), ["info", ...imageOptions(certificates.stranger)])).rejects.toThrow(
      /Command failed/,
    );
    await expect.poll(refusals).toBe(2);
  });

  test("neither does one with a certificate of another authority", async () => {
    const others = await makeCertificates(join(folder, "other-pki"));
    // It trusts the server, so that its own certificate is what is refused.
    await run("cp", [join(certificates.server, "ca-cert.pem"), others.client]);
    const before = refusals();
    await expect(run(tool("nbdinfo"), [uri(others.client)])).rejects.toThrow(/Command failed/);
    await expect.poll(refusals).toBe(before + 1);
  });

  test("a client in the clear is told that TLS is required, and not even the names", async () => {
    const plain = nbdUri(server.address, false, "os");
    await expect(run(tool("nbdinfo"), ["--list", plain])).rejects.toThrow(/server replied with error to list request/);
    await expect(run(tool("qemu-img"), ["info", plain])).rejects.toThrow(/TLS/i);
  });

  test("what was sent ahead of TLS in the clear is not taken for something said over it", async () => {
    const client = await NbdClient.greeted(server.address);
    client.send(optionHead(5, 0), optionHead(3, 0));
    await client.ended();
    await expect.poll(() => server.logged.join("\n")).toMatch(/it did not wait for TLS|its TLS handshake failed/);
    expect(server.logged.join("\n")).not.toContain("nbd-connection-failed");
  });

  test("an older protocol than TLS 1.2 is refused", async () => {
    const client = { folder: certificates.client, address: server.address };
    await expect(connectTls({ ...client, maxVersion: "TLSv1.1" })).rejects.toThrow(/protocol version/);
    await expect(connectTls({ ...client, maxVersion: "TLSv1.2" })).resolves.toBe("TLSv1.2");
    await expect(connectTls({ ...client, maxVersion: "TLSv1.3" })).resolves.toBe("TLSv1.3");
  });
});

/** A package of its own on Debian; the other clients judge the same things, less closely. */
function hasPythonNbd(): boolean {
  return spawnSync("/usr/bin/python3", ["-c", "import nbd"]).status === 0;
}
