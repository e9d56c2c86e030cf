import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { PageBlobSource } from "../../../shared/adapters/azure/page-blob-source.ts";
import { StorageAccounts } from "../../../shared/adapters/azure/storage-accounts.ts";
import { attemptId } from "../../../shared/core/ids.ts";
import { buildVhdFooter } from "../../../shared/core/vhd.ts";
import type { ProtectedVm } from "../../../shared/core/vm.ts";
import { makePageBlobVm, type PageBlobVm } from "../../support/page-blob-vm.ts";
import { sampleRunId } from "../../support/sample-rows.ts";
import { startStorageProxy, throughProxy, type StorageProxy } from "../../support/storage-proxy.ts";
import { startTestAzurite, type TestAzurite } from "../../support/test-azurite.ts";
import { taken } from "../../support/taken.ts";
import { requireSource } from "../../../shared/core/vm.ts";

const mib = 1024 * 1024;
const signal = AbortSignal.timeout(230_000);
const runId = sampleRunId(1);
const attempt = { runId, attemptId: attemptId(runId, 1) };

let region: TestAzurite;
let proxy: StorageProxy;
let source: PageBlobSource;
beforeAll(async () => {
  region = await startTestAzurite();
  proxy = await startStorageProxy(region.azurite.blobUrl);
  source = new PageBlobSource(await StorageAccounts.open([throughProxy(region.connectionString, proxy)]));
});
afterEach(() => proxy.reset());
afterAll(async () => {
  await proxy.close();
  await region.azurite.stop();
});

const make = async (sizeBytes = mib): Promise<{ made: PageBlobVm; vm: ProtectedVm }> => {
  const made = await makePageBlobVm(region.connectionString, sizeBytes);
  return { made, vm: made.vm(proxy.url) };
};
const inspect = async (vm: ProtectedVm) => (await source.inspect(vm, signal)).disks;
const snapshot = async (vm: ProtectedVm) => taken(await source.snapshot(vm, await inspect(vm), attempt, signal));
const allOf = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
};
const pause = () => new Promise((resolve) => setTimeout(resolve, 1100));

describe("A page blob that a restore is writing", () => {
  test("makes its VM not safe to back up, until it is finished: it is no disk yet", async () => {
    const { made, vm } = await make();
    const conditions = async () => (await source.inspect(vm, signal)).conditions;
    expect(await conditions()).toEqual([]);
    await made.disks[0]?.create(mib, { metadata: { farsiderun: runId, farsidestate: "restoring" } });
    expect(await conditions()).toEqual(["provisioning"]);
    await made.disks[0]?.setMetadata({ farsiderun: runId, farsidestate: "complete" });
    expect(await conditions()).toEqual([]);
  });
});

describe("The identity of a page blob", () => {
  test("stays when it is written, resized or given metadata", async () => {
    const { made, vm } = await make();
    const [before] = await inspect(vm);
    await pause();
    await made.disks[0]?.uploadPages(Buffer.alloc(512, 1), 0, 512);
    await made.disks[0]?.resize(2 * mib);
    await made.disks[0]?.setMetadata({ a: "b" });
    const [after] = await inspect(vm);
    expect(after).toMatchObject({ identity: before?.identity, sizeBytes: 2 * mib });
  });

  test("is another one after it was overwritten, and after it was removed and made again", async () => {
    const { made, vm } = await make();
    const identities = [(await inspect(vm))[0]?.identity];
    await pause();
    await made.disks[0]?.create(mib);
    identities.push((await inspect(vm))[0]?.identity);
    await pause();
    await made.disks[0]?.delete();
    await made.disks[0]?.create(mib);
    identities.push((await inspect(vm))[0]?.identity);
    expect(new Set(identities).size).toBe(3);
  });

  test("is looked at again after the snapshot: a blob that was replaced in between is not taken for the disk", async () => {
    const { made, vm } = await make();
    const disks = await inspect(vm);
    await pause();
    await made.disks[1]?.create(mib);
    await expect(source.snapshot(vm, disks, attempt, signal)).rejects.toMatchObject({
      code: "snapshot-failed",
      message: expect.stringContaining("replaced"),
    });
    expect(await source.listSnapshots(vm, signal)).toEqual([]);
  });
});

describe("The size of a disk", () => {
  test("is without the footer of a fixed VHD, before and after a resize that moves the footer", async () => {
    const { made, vm } = await make(mib + 512);
    const footer = (sizeBytes: number) => buildVhdFooter({ sizeBytes, createdAtMs: 0, uniqueId: new Uint8Array(16) });
    await made.disks[0]?.uploadPages(footer(mib), mib, 512);
    const [os, data] = await inspect(vm);
    expect([os?.sizeBytes, data?.sizeBytes]).toEqual([mib, mib + 512]);
    const disks = await inspect(vm);
    await made.disks[0]?.resize(2 * mib + 512);
    await made.disks[0]?.uploadPages(footer(2 * mib), 2 * mib, 512);
    const snapshots = taken(await source.snapshot(vm, disks, attempt, signal));
    expect(snapshots.map(({ sizeBytes }) => sizeBytes)).toEqual([2 * mib, mib + 512]);
  });
});

describe("What is no disk", () => {
  const withUrl = (vm: ProtectedVm, url: string): ProtectedVm => ({
    ...vm,
    source: {
      kind: "page-blob",
      disks: requireSource(vm, "page-blob")
        .disks.slice(0, 1)
        .map((disk) => ({ ...disk, url })),
    },
  });

  test.each([
    ["of another account", "https://other.blob.core.windows.net/vhds/os.vhd", /no access configured.*srcacct/],
    ["with a SAS", "{account}/vhds/os.vhd?sv=1&sig=SECRET", /without what follows/],
    ["without a blob", "{account}/vhds", /needs a container and a name/],
    ["that is none", "C:\\disks\\os.vhd", /no access|not a URL/],
  ])("is refused: a URL %s", async (_, text, why) => {
    const { vm } = await make();
    const url = text.replace("{account}", `${proxy.url}/${region.account}`);
    const failure = source.inspect(withUrl(vm, url), signal);
    await expect(failure).rejects.toMatchObject({ code: "bad-input", message: expect.stringMatching(why) });
    await expect(failure).rejects.not.toThrow(/SECRET/);
  });

  test("is refused: a block blob, and an empty page blob", async () => {
    const { made, vm } = await make();
    await made.container.getBlockBlobClient("block").upload("x", 1);
    await made.container.getPageBlobClient("empty").create(0);
    const url = (name: string): string => `${proxy.url}/${region.account}/${made.container.containerName}/${name}`;
    await expect(source.inspect(withUrl(vm, url("block")), signal)).rejects.toThrow(
      /BlockBlob of 1 bytes.*disk import/,
    );
    await expect(source.inspect(withUrl(vm, url("empty")), signal)).rejects.toThrow(/is empty/);
  });
});

describe("Snapshots", () => {
  test("are never made twice by a retry, and one whose answer was lost is removed with the others", async () => {
    const { made, vm } = await make();
    const disks = await inspect(vm);
    const fault = proxy.inject((seen) => seen.kind === "snapshot" && seen.path.endsWith("data.vhd"), {
      kind: "reset",
      when: "after",
    });
    await expect(source.snapshot(vm, disks, attempt, signal)).rejects.toMatchObject({ code: "snapshot-failed" });
    expect(fault.hits).toBe(1);
    expect(proxy.count("snapshot")).toBe(2);
    const left = [];
    for await (const blob of made.container.listBlobsFlat({ includeSnapshots: true })) left.push(blob.snapshot);
    expect(left.filter((id) => id !== undefined)).toEqual([]);
  });

  test("of others on the same blob are left alone", async () => {
    const { made, vm } = await make();
    await made.disks[0]?.createSnapshot();
    await made.disks[0]?.createSnapshot({ metadata: { farsiderun: "x", farsideattempt: "y", farsidedisk: "z" } });
    const other = made.container.getPageBlobClient("vm/os.vhd.bak");
    await other.create(mib);
    await other.createSnapshot({
      metadata: { farsiderun: runId, farsideattempt: attempt.attemptId, farsidedisk: "os" },
    });
    await snapshot(vm);
    expect((await source.listSnapshots(vm, signal)).length).toBe(2);
  });

  test("are removed also when the caller gives up in the middle, and its reason is what it gets", async () => {
    const { vm } = await make();
    const disks = await inspect(vm);
    const caller = new AbortController();
    const fault = proxy.inject(
      (seen) => seen.kind === "head" && seen.query.has("snapshot"),
      { kind: "delay", ms: 1000 },
      2,
    );
    setTimeout(() => caller.abort(new Error("enough")), 300);
    await expect(source.snapshot(vm, disks, attempt, caller.signal)).rejects.toThrow("enough");
    expect(fault.hits).toBeGreaterThan(0);
    expect(await source.listSnapshots(vm, signal)).toEqual([]);
  });
});

describe("A source in trouble", () => {
  const content = randomBytes(2 * mib);
  const prepared = async () => {
    const { made, vm } = await make(2 * mib);
    await made.disks[0]?.uploadPages(content, 0, content.length);
    const [os] = await snapshot(vm);
    proxy.reset();
    return { vm, reference: os?.reference ?? {} };
  };

  test.each([
    ["is told 503 three times", { kind: "answer", status: 503, code: "ServerBusy" }, 3],
    ["loses its connection twice", { kind: "reset", when: "before" }, 2],
    ["loses the answer", { kind: "reset", when: "after" }, 1],
    ["gets a body cut short", { kind: "cut-body", afterBytes: 700_001 }, 2],
  ] as const)("that %s reads the right bytes all the same", async (_, fault, times) => {
    const { reference } = await prepared();
    const injected = proxy.inject("read", fault, times);
    const read = await source.read(reference, 1000, mib, signal);
    expect(Buffer.compare(read, content.subarray(1000, 1000 + mib))).toBe(0);
    expect(injected.hits).toBe(times);
  });

  test("that is told to slow down for long gives up after four tries and says throttled", async () => {
    const { reference } = await prepared();
    const fault = proxy.inject(
      "read",
      { kind: "answer", status: 503, code: "ServerBusy", headers: { "retry-after": "7" } },
      99,
    );
    await expect(source.read(reference, 0, 512, signal)).rejects.toMatchObject({
      code: "throttled",
      retryAfterMs: 7000,
    });
    expect(fault.hits).toBe(4);
  });

  test("that is told 429 says throttled with the wait that was asked for", async () => {
    const { reference } = await prepared();
    proxy.inject("page-list", { kind: "answer", status: 429, headers: { "retry-after": "30" } }, 99);
    const ranges = source.allocatedRanges(reference, { fromByte: 0, toByte: mib }, signal);
    await expect(allOf(ranges)).rejects.toMatchObject({ code: "throttled", retryAfterMs: 30_000 });
  });

  test("whose bodies are always cut short never gives fewer bytes, but says unavailable", async () => {
    const { reference } = await prepared();
    proxy.inject("read", { kind: "cut-body", afterBytes: 512 }, 99);
    await expect(source.read(reference, 0, mib, signal)).rejects.toMatchObject({ code: "unavailable" });
  });

  test("believes a 404 only with the service's own code", async () => {
    const { reference, vm } = await prepared();
    proxy.inject("head", { kind: "answer", status: 404, code: "SomeGatewayPage" }, 1);
    await expect(source.snapshotExists(reference, signal)).rejects.toMatchObject({ code: "unavailable" });
    proxy.inject("list", { kind: "answer", status: 404, code: "SomeGatewayPage" }, 1);
    await expect(source.listSnapshots(vm, signal)).rejects.toMatchObject({ code: "unavailable" });
    proxy.inject("remove", { kind: "answer", status: 404, code: "SomeGatewayPage" }, 1);
    await expect(source.removeSnapshot(reference, signal)).rejects.toMatchObject({ code: "unavailable" });
  });

  test("with a refused key says forbidden, and shows no signature", async () => {
    const { vm } = await make();
    const wrong = throughProxy(region.connectionString, proxy).replace(
      /AccountKey=[^;]+/,
      `AccountKey=${randomBytes(32).toString("base64")}`,
    );
    const other = new PageBlobSource(await StorageAccounts.open([wrong]));
    const failure = other.inspect(vm, signal);
    await expect(failure).rejects.toMatchObject({ code: "forbidden" });
    await expect(failure).rejects.not.toThrow(/signature|SharedKey|AccountKey/i);
  });

  test("whose server is frozen gives up within a minute, and sooner when the caller does", async () => {
    const { reference } = await prepared();
    region.azurite.freeze();
    try {
      const begin = performance.now();
      await expect(source.read(reference, 0, 512, AbortSignal.timeout(1500))).rejects.toMatchObject({
        name: "TimeoutError",
      });
      expect(performance.now() - begin).toBeLessThan(5000);
      await expect(source.snapshotExists(reference, signal)).rejects.toMatchObject({ code: "unavailable" });
      expect(performance.now() - begin).toBeLessThan(60_000);
    } finally {
      region.azurite.thaw();
    }
    expect(await source.snapshotExists(reference, signal)).toBe(true);
  });
});

describe("The changed-page list", () => {
  test("of a parent that is gone, or of a blob that was overwritten since, is not-found", async () => {
    const exact = await startStorageProxy(region.azurite.blobUrl, {
      exactDiff: { connectionString: region.connectionString },
    });
    try {
      const { made } = await make();
      const vm = made.vm(exact.url);
      const believing = new PageBlobSource(await StorageAccounts.open([throughProxy(region.connectionString, exact)]));
      const snapshotOf = async (of: PageBlobSource) =>
        taken(await of.snapshot(vm, (await of.inspect(vm, signal)).disks, attempt, signal));
      const [parent] = await snapshotOf(believing);
      const [child] = await snapshotOf(believing);
      await believing.removeSnapshot(parent?.reference ?? {}, signal);
      const list = async () =>
        allOf(
          believing.changedRanges(
            child?.reference ?? {},
            parent?.reference ?? {},
            { fromByte: 0, toByte: mib },
            signal,
          ),
        );
      await expect(list()).rejects.toMatchObject({ code: "not-found" });
      exact.inject("page-diff", { kind: "answer", status: 409, code: "BlobOverwritten" });
      await expect(list()).rejects.toMatchObject({
        code: "not-found",
        message: expect.stringContaining("overwritten"),
      });
    } finally {
      await exact.close();
    }
  });

  test("is probed on a blob that is removed also where the probe fails", async () => {
    const { made, vm } = await make();
    const [os] = await snapshot(vm);
    const names = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const blob of made.container.listBlobsFlat()) found.push(blob.name);
      return found;
    };
    proxy.inject("page-diff", { kind: "answer", status: 403, code: "AuthorizationFailure" });
    await expect(source.probeDiff(os?.reference ?? {}, signal)).rejects.toMatchObject({ code: "forbidden" });
    expect(await names()).toEqual(["vm/data.vhd", "vm/os.vhd"]);
    // A service that does not know the list answers so, and is not believed.
    proxy.inject("page-diff", { kind: "answer", status: 400, code: "InvalidQueryParameterValue" });
    expect(await source.probeDiff(os?.reference ?? {}, signal)).toMatchObject({ diff: "wrong" });
    expect(await names()).toEqual(["vm/data.vhd", "vm/os.vhd"]);
  });
});

test("An account that is configured twice is refused", async () => {
  await expect(StorageAccounts.open([region.connectionString, region.connectionString])).rejects.toThrow(
    /srcacct.*twice/,
  );
});
