/**
 * A vault that any blob copier brought to another account, with the first one gone: its blobs, the passphrase and a SAS that may only
 * read are all there is. And restores from it into a container that nothing but another SAS opens.
 */
import {
  BlobServiceClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
  type ContainerClient,
} from "@azure/storage-blob";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { farside } from "../../support/cli/farside.ts";
import { startStorageProxy, type StorageProxy } from "../../support/storage-proxy.ts";
import { startTestAzurite, type TestAzurite } from "../../support/test-azurite.ts";
import { startAzuriteVault } from "../../support/vault/azurite-vault.ts";
import { backUp, hourMs, kib, noise, passphrase, prose } from "../../support/vault/vault-fixture.ts";

const chunk = 256 * kib;
const os = Buffer.concat([noise("os", 20 * chunk), Buffer.alloc(20 * chunk), noise("end", 8 * chunk)]);
const data = Buffer.from(prose("data", 3 * chunk + 512));

let other: TestAzurite;
let proxy: StorageProxy;
let copied: ContainerClient;
let folder: string;
let points: readonly string[];
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-copied-"));
  const first = await startAzuriteVault();
  try {
    const older = await backUp(first, "web1", { os, data: prose("older", 3 * chunk + 512) });
    first.clock.advance(hourMs);
    points = [(await backUp(first, "web1", { os, data })).pointId, older.pointId];
    other = await startTestAzurite("otheracct");
    proxy = await startStorageProxy(other.azurite.blobUrl);
    const from = BlobServiceClient.fromConnectionString(first.emulator.connectionString).getContainerClient("vault");
    copied = BlobServiceClient.fromConnectionString(other.connectionString).getContainerClient("elsewhere");
    await copied.create();
    for await (const { name } of from.listBlobsFlat()) {
      await copied.getBlockBlobClient(name).uploadData(await from.getBlobClient(name).downloadToBuffer());
    }
  } finally {
    await first.stop();
  }
  environment = { FARSIDE_VAULT: sasUrl("elsewhere", "rl", hourMs), FARSIDE_PASSPHRASE: passphrase };
}, 120_000);
afterEach(() => proxy?.reset());
afterAll(async () => {
  await proxy?.close();
  await other?.azurite.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A container's URL through the proxy, with a SAS. */
function sasUrl(container: string, permissions: string, lastsMs: number): string {
  const parts = new Map(
    other.connectionString.split(";").map((part) => [part.split("=")[0], part.slice(part.indexOf("=") + 1)]),
  );
  const credential = new StorageSharedKeyCredential(parts.get("AccountName") ?? "", parts.get("AccountKey") ?? "");
  const sas = generateBlobSASQueryParameters(
    {
      containerName: container,
      permissions: ContainerSASPermissions.parse(permissions),
      startsOn: new Date(Date.now() - hourMs),
      expiresOn: new Date(Date.now() + lastsMs),
    },
    credential,
  );
  return `${proxy.url}/otheracct/${container}?${sas.toString()}`;
}

const run = (...args: string[]) => farside(args, { environment });
const written = () => proxy.requests.filter(({ method }) => method !== "GET" && method !== "HEAD");

describe("A copied vault, read-only, with its source gone,", () => {
  test("lists and shows its points", async () => {
    const listed = await run("point", "list", "web1", "--json");
    expect(listed).toMatchObject({ exitCode: 0, err: "" });
    expect((JSON.parse(listed.out) as { restorePointId: string }[]).map((point) => point.restorePointId)).toEqual(
      points,
    );
    expect((await run("point", "show", "web1", "latest")).exitCode).toBe(0);
    expect(written()).toEqual([]);
  });

  test("is restored from", async () => {
    const done = await run("restore", "web1", "--to-file", folder);
    expect(done).toMatchObject({ exitCode: 0, err: "" });
    expect((await readFile(join(folder, "os.raw"))).equals(os)).toBe(true);
    expect((await readFile(join(folder, "data.raw"))).equals(data)).toBe(true);
    expect(written()).toEqual([]);
  });

  test("is verified, all data read", async () => {
    const verified = await run("verify", "--all", "--read-data", "--json");
    expect(verified.exitCode).toBe(0);
    expect(JSON.parse(verified.out)).toMatchObject({ whole: true, checked: { restorePoints: 2 } });
    expect(written()).toEqual([]);
  });

  test("says so where the passphrase is wrong, and where a SAS may not read", async () => {
    const wrong = await farside(["point", "list", "web1"], {
      environment: { ...environment, FARSIDE_PASSPHRASE: "not the right passphrase" },
    });
    expect(wrong).toMatchObject({ exitCode: 4, err: expect.stringContaining("opens none of the 1") as string });
    const blind = await farside(["point", "list", "web1"], {
      environment: { ...environment, FARSIDE_VAULT: sasUrl("elsewhere", "w", hourMs) },
    });
    expect(blind.exitCode).toBe(1);
    expect(blind.err).not.toContain("sig=");
  });
});

describe("A restore into a container by its SAS", () => {
  const restored = async (container: string, disk: string, bytes: number) => {
    const client = BlobServiceClient.fromConnectionString(other.connectionString).getContainerClient(container);
    return client.getPageBlobClient(`${disk}.vhd`).downloadToBuffer(0, bytes);
  };
  const fresh = async (container: string) => {
    await BlobServiceClient.fromConnectionString(other.connectionString).getContainerClient(container).create();
    return container;
  };

  test("is done by this command alone, and the SAS is told nowhere", async () => {
    const url = sasUrl(await fresh("direct"), "rcw", hourMs);
    const done = await run("restore", "web1", "--to-container", url, "--json", "--verbose");
    expect(done).toMatchObject({ exitCode: 0 });
    expect(done.out + done.err).not.toContain("sig=");
    expect(JSON.parse(done.out)).toMatchObject({
      disks: [{ name: "os", url: `${proxy.url}/otheracct/direct/os.vhd` }, {}],
    });
    expect((await restored("direct", "os", os.length)).equals(os)).toBe(true);
    expect((await restored("direct", "data", data.length)).equals(data)).toBe(true);
    expect(await run("restore", "web1", "--to-container", url)).toMatchObject({
      exitCode: 4,
      err: expect.stringMatching(/^farside: .*os\.vhd was restored before/) as string,
    });
  });

  test("says that a SAS has expired, and goes on with a new one where it stood", async () => {
    await fresh("later");
    const command = ["restore", "web1", "--disk", "os", "--to-container"];
    let pages = 0;
    const refusing = proxy.inject(
      (one) => one.kind === "put-page" && ++pages > 10,
      { kind: "answer", status: 403, code: "AuthenticationFailed" },
      1e6,
    );
    const cut = await run(...command, sasUrl("later", "rcw", 1500));
    expect(refusing.hits).toBeGreaterThan(0);
    expect(cut.exitCode).toBe(1);
    proxy.reset();
    const expired = await run(...command, sasUrl("later", "rcw", -1000));
    expect(expired).toMatchObject({ exitCode: 1, out: "" });
    expect(expired.err).toMatch(
      /^farside: The SAS of \S+\/later has expired at \S+\. .*the same command with a new SAS goes on/,
    );
    expect(expired.err).not.toContain("sig=");
    const done = await run(...command, sasUrl("later", "rcw", hourMs), "--json");
    expect(done).toMatchObject({ exitCode: 0 });
    expect((await restored("later", "os", os.length)).equals(os)).toBe(true);
  });

  test("goes on where it stood after it was interrupted", async () => {
    await fresh("stopped");
    const url = sasUrl("stopped", "rcw", hourMs);
    const interrupted = new AbortController();
    const command = ["restore", "web1", "--disk", "os", "--to-container", url, "--json"];
    const slow = proxy.inject((one) => one.path.includes("/chunks/"), { kind: "delay", ms: 100 }, 1e6);
    const stopping = farside(command, { environment, signal: interrupted.signal });
    // 16 chunks are read and 8 written at once: when the 27th of 28 is asked for, at least two are written, and most are on their way.
    while (slow.hits < 27) await new Promise((resolve) => setTimeout(resolve, 5));
    interrupted.abort(new Error("Ctrl-C"));
    expect((await stopping).exitCode).not.toBe(0);
    proxy.reset();
    const done = await run(...command);
    expect(done.exitCode).toBe(0);
    const [disk] = (JSON.parse(done.out) as { disks: { resumedBytes: number }[] }).disks;
    expect(disk?.resumedBytes).toBeGreaterThan(0);
    expect((await restored("stopped", "os", os.length)).equals(os)).toBe(true);
  });

  test("refuses one that may not write, in words", async () => {
    const done = await run("restore", "web1", "--to-container", sasUrl(await fresh("closed"), "r", hourMs));
    expect(done).toMatchObject({ exitCode: 1, out: "" });
    expect(done.err).toMatch(/403 .*Check the identity's role, the key or the SAS/);
    expect(done.err).not.toContain("sig=");
  });
});
