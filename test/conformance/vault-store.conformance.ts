/** What every vault store must do (ports/vault-store.ts). Run against memory and against a real Azurite. */
import { beforeEach, describe, expect, test } from "vitest";
import { FarsideError } from "../../shared/core/errors.ts";
import { epochMs, msBetween } from "../../shared/core/timestamp.ts";
import type { VaultStore } from "../../shared/ports/vault-store.ts";

export interface VaultStoreUnderTest {
  /** A store whose container is new and made. */
  readonly store: VaultStore;
  /** The same kind of store, on a container that was never made. */
  readonly withoutContainer: VaultStore;
  /** Lets the service's clock go on by two seconds: Last-Modified knows whole seconds only. */
  readonly waitTwoSeconds: () => Promise<void>;
}

const signal = new AbortController().signal;
const bytes = (text: string): Uint8Array => Buffer.from(text);
const textOf = (content: Uint8Array | undefined): string | undefined =>
  content === undefined ? undefined : Buffer.from(content).toString();

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function failure(work: Promise<unknown>): Promise<FarsideError> {
  const error: unknown = await work.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof FarsideError) return error;
  throw error;
}

export function describeVaultStore(name: string, open: () => Promise<VaultStoreUnderTest>): void {
  describe(`A vault store (${name})`, () => {
    let made: VaultStoreUnderTest;
    let store: VaultStore;
    beforeEach(async () => {
      made = await open();
      store = made.store;
    });

    test("makes its container, and is content when it is there already", async () => {
      await made.withoutContainer.createContainer(signal);
      await made.withoutContainer.createContainer(signal);
      expect(await made.withoutContainer.head("x", signal)).toBeUndefined();
    });

    test("creates a blob once: the second creator is told, and the first content stands", async () => {
      const first = await store.create("chunks/aa/one", bytes("first"), signal);
      const second = await store.create("chunks/aa/one", bytes("second"), signal);
      expect(first).toMatchObject({ kind: "created", blob: { name: "chunks/aa/one", sizeBytes: 5 } });
      expect(second).toEqual({ kind: "exists" });
      expect(textOf((await store.read("chunks/aa/one", 100, signal))?.content)).toBe("first");
    });

    test("lets exactly one of many creators at once win", async () => {
      const racers = Array.from({ length: 20 }, (_, at) => store.create("race", bytes(`racer ${at}`), signal));
      const outcomes = await Promise.all(racers);
      const winners = outcomes.flatMap((outcome, at) => (outcome.kind === "created" ? [at] : []));
      expect(winners).toHaveLength(1);
      expect(textOf((await store.read("race", 100, signal))?.content)).toBe(`racer ${winners[0]}`);
    });

    test("puts over what stands there, with another ETag", async () => {
      const before = await store.put("work/x", bytes("one"), signal);
      const after = await store.put("work/x", bytes("three"), signal);
      expect(after.etag).not.toBe(before.etag);
      expect(after.sizeBytes).toBe(5);
      expect(textOf((await store.read("work/x", 100, signal))?.content)).toBe("three");
    });

    test("gives the same name, size, time and ETag by create, head, read and list", async () => {
      const created = await store.create("a/b", bytes("content"), signal);
      if (created.kind !== "created") throw new Error("not created");
      const { content, ...read } = (await store.read("a/b", 100, signal)) ?? { content: undefined };
      expect(textOf(content)).toBe("content");
      expect(read).toEqual(created.blob);
      expect(await store.head("a/b", signal)).toEqual(created.blob);
      expect(await collect(store.list("a/", signal))).toEqual([created.blob]);
    });

    test("gives times in whole seconds, as HTTP does", async () => {
      const blob = await store.put("x", bytes("x"), signal);
      expect(epochMs(blob.lastModified) % 1000).toBe(0);
    });

    test("reads back every byte, of nothing and of four MiB", async () => {
      const big = Buffer.alloc(4 * 1024 * 1024).map((_, at) => (at * 31 + (at >> 8)) & 255);
      await store.create("big", big, signal);
      await store.create("empty", new Uint8Array(0), signal);
      expect(Buffer.from((await store.read("big", big.length, signal))?.content ?? []).equals(big)).toBe(true);
      expect((await store.read("empty", 0, signal))?.content).toHaveLength(0);
    });

    test("does not share memory with its callers", async () => {
      const mine = Buffer.from("mine");
      await store.create("shared", mine, signal);
      mine.fill(0);
      const first = await store.read("shared", 100, signal);
      first?.content.fill(0);
      expect(textOf((await store.read("shared", 100, signal))?.content)).toBe("mine");
    });

    test("refuses a blob that is longer than its reader expects, before reading it", async () => {
      await store.create("index/aa/long", bytes("eleven byte"), signal);
      const error = await failure(store.read("index/aa/long", 10, signal));
      expect(error.code).toBe("vault-corrupt");
      expect(error.details).toMatchObject({ object: "index/aa/long", reason: "too-long", expected: 10, found: 11 });
      expect((await store.read("index/aa/long", 11, signal))?.sizeBytes).toBe(11);
    });

    test("says of a blob that is not there that it is not", async () => {
      expect(await store.read("nothing", 100, signal)).toBeUndefined();
      expect(await store.head("nothing", signal)).toBeUndefined();
      expect(await store.refresh("nothing", signal)).toBeUndefined();
      expect(await store.remove("nothing", {}, signal)).toBe("absent");
      expect(await store.remove("nothing", { ifMatch: '"0x1"' }, signal)).toBe("changed");
    });

    test("does not say that a blob is not there when its container is not", async () => {
      const lost = made.withoutContainer;
      const attempts = [
        lost.read("x", 100, signal),
        lost.head("x", signal),
        lost.refresh("x", signal),
        lost.create("x", bytes("x"), signal),
        lost.put("x", bytes("x"), signal),
        lost.remove("x", {}, signal),
        collect(lost.list("", signal)),
        collect(lost.listFolders("", signal)),
      ];
      const codes = (await Promise.all(attempts.map(failure))).map((error) => error.code);
      expect(codes).toEqual(attempts.map(() => "not-found"));
    });

    test("moves Last-Modified and the ETag by a refresh, and leaves the content", async () => {
      const created = await store.create("chunks/bb/old", bytes("old"), signal);
      if (created.kind !== "created") throw new Error("not created");
      await made.waitTwoSeconds();
      const refreshed = await store.refresh("chunks/bb/old", signal);
      const after = await store.read("chunks/bb/old", 100, signal);
      expect(msBetween(created.blob.lastModified, after?.lastModified ?? created.blob.lastModified)).toBeGreaterThan(0);
      expect(after).toMatchObject({ lastModified: refreshed?.lastModified, etag: refreshed?.etag });
      expect(refreshed?.etag).not.toBe(created.blob.etag);
      expect(textOf(after?.content)).toBe("old");
      // Control: time alone moves nothing.
      const still = await store.head("chunks/bb/old", signal);
      await made.waitTwoSeconds();
      expect(await store.head("chunks/bb/old", signal)).toEqual(still);
    });

    test("removes what carries the ETag, and leaves what was refreshed since", async () => {
      const blob = await store.put("chunks/cc/x", bytes("x"), signal);
      const refreshed = await store.refresh("chunks/cc/x", signal);
      expect(await store.remove("chunks/cc/x", { ifMatch: blob.etag }, signal)).toBe("changed");
      expect(await store.head("chunks/cc/x", signal)).toBeDefined();
      expect(await store.remove("chunks/cc/x", { ifMatch: refreshed?.etag ?? "" }, signal)).toBe("removed");
      expect(await store.head("chunks/cc/x", signal)).toBeUndefined();
      expect(await store.remove("chunks/cc/x", {}, signal)).toBe("absent");
    });

    test("removes by an ETag that came from a listing", async () => {
      await store.create("chunks/dd/x", bytes("x"), signal);
      const [listed] = await collect(store.list("chunks/dd/", signal));
      expect(await store.remove("chunks/dd/x", { ifMatch: listed?.etag ?? "" }, signal)).toBe("removed");
    });

    test("lists in order of name, only below the prefix", async () => {
      const names = ["b/2", "a/1", "b/10", "b/1", "ba/1", "c"];
      await Promise.all(names.map((name) => store.put(name, bytes(name), signal)));
      const listed = await collect(store.list("b/", signal));
      expect(listed.map((blob) => blob.name)).toEqual(["b/1", "b/10", "b/2"]);
      expect((await collect(store.list("", signal))).map((blob) => blob.name)).toEqual(names.toSorted());
      expect(await collect(store.list("nothing/", signal))).toEqual([]);
    });

    test("lists the folders directly below a prefix", async () => {
      const names = [
        "restore-points/vm-b/1/m",
        "restore-points/vm-a/1/m",
        "restore-points/vm-a/2/m",
        "restore-points/x",
      ];
      await Promise.all(names.map((name) => store.put(name, bytes(name), signal)));
      const folders = await collect(store.listFolders("restore-points/", signal));
      expect(folders).toEqual(["restore-points/vm-a/", "restore-points/vm-b/"]);
      expect(await collect(store.listFolders("", signal))).toEqual(["restore-points/"]);
    });

    test("does nothing under an aborted signal, and throws its reason", async () => {
      const aborted = AbortSignal.abort(new FarsideError("interrupted", "Stopped by the test."));
      for (const work of [
        store.create("x", bytes("x"), aborted),
        store.read("x", 1, aborted),
        store.head("x", aborted),
        collect(store.list("", aborted)),
      ]) {
        expect((await failure(work)).code).toBe("interrupted");
      }
      expect(await store.head("x", signal)).toBeUndefined();
    });

    test("shows where it is without a secret", () => {
      expect(store.location).toMatch(/^[a-z]+:\/\/[^?]+$/);
    });
  });
}
