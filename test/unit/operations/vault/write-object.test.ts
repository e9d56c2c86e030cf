import { describe, expect, test } from "vitest";
import { FarsideError } from "../../../../shared/core/errors.ts";
import { defectOf } from "../../../../shared/core/vault/corrupt.ts";
import { reuseWindowMs } from "../../../../shared/core/vault/limits.ts";
import { objectIdOf, objectName, zeroObjectId } from "../../../../shared/core/vault/object-id.ts";
import { timestamp } from "../../../../shared/core/timestamp.ts";
import { createObjectWriter } from "../../../../shared/operations/vault/object-writer.ts";
import { writeObject } from "../../../../shared/operations/vault/write-object.ts";
import type { VaultStore } from "../../../../shared/ports/vault-store.ts";
import { hourMs, kib, makeVault, noise, prose, signal } from "../../../support/vault/vault-fixture.ts";
import type { TestVault } from "../../../support/vault/vault-fixture.ts";

const content = prose("fox", 256 * kib);
const nameOf = ({ vault }: TestVault): string => objectName("data", objectIdOf(vault.keys, "data", content));
const startNow = ({ clock }: TestVault) => ({ startedAt: timestamp(clock.now()) });

/** Counts requests by kind, and lets something happen before one of them. */
function watched(hooks: { readonly beforeCreate?: (store: VaultStore, count: number) => Promise<unknown> } = {}) {
  const calls: string[] = [];
  const wrap = (store: VaultStore): VaultStore => ({
    location: store.location,
    createContainer: (s) => store.createContainer(s),
    create: async (name, bytes, s) => {
      const mine = name.startsWith("chunks/");
      if (mine) calls.push("create");
      if (mine) await hooks.beforeCreate?.(store, calls.filter((call) => call === "create").length);
      return store.create(name, bytes, s);
    },
    put: (name, bytes, s) => store.put(name, bytes, s),
    read: (name, most, s) => store.read(name, most, s),
    head: (name, s) => {
      if (name.startsWith("chunks/")) calls.push("head");
      return store.head(name, s);
    },
    refresh: (name, s) => {
      calls.push("refresh");
      return store.refresh(name, s);
    },
    list: (prefix, s) => store.list(prefix, s),
    listFolders: (prefix, s) => store.listFolders(prefix, s),
    remove: (name, options, s) => store.remove(name, options, s),
  });
  return { wrap, calls };
}

describe("Writing an object", () => {
  test("stores it once, and reuses it while it is young", async () => {
    const made = await makeVault();
    const first = await writeObject(made.vault, "data", content, startNow(made), signal);
    expect(first).toMatchObject({ outcome: "written", storedBytes: made.store.contentOf(nameOf(made))?.length });
    made.clock.advance(reuseWindowMs);
    const again = await writeObject(made.vault, "data", content, startNow(made), signal);
    expect(again).toEqual({ id: first.id, outcome: "reused", storedBytes: 0 });
  });

  test("refreshes what is older than the window, measured from the session's start and not from now", async () => {
    const made = await makeVault();
    await writeObject(made.vault, "data", content, startNow(made), signal);
    made.clock.advance(reuseWindowMs);
    const session = startNow(made);
    made.clock.advance(20 * hourMs);
    expect((await writeObject(made.vault, "data", content, session, signal)).outcome).toBe("reused");
    // Control: a session that begins now finds it too old, and the next one finds it young again.
    expect((await writeObject(made.vault, "data", content, startNow(made), signal)).outcome).toBe("refreshed");
    expect((await writeObject(made.vault, "data", content, startNow(made), signal)).outcome).toBe("reused");
  });

  test("of zeros stores nothing and asks nothing", async () => {
    const { wrap, calls } = watched();
    const made = await makeVault(undefined, "zero", wrap);
    const written = await writeObject(made.vault, "data", new Uint8Array(256 * kib), startNow(made), signal);
    expect(written).toEqual({ id: zeroObjectId, outcome: "zero", storedBytes: 0 });
    expect(calls).toEqual([]);
  });

  test("neither reuses nor overwrites what lies there with a length that it cannot have", async () => {
    const made = await makeVault();
    const damaged = noise("damaged", 30);
    await made.store.put(nameOf(made), damaged, signal);
    const error: unknown = await writeObject(made.vault, "data", content, startNow(made), signal).catch(
      (e: unknown) => e,
    );
    expect(defectOf(error)).toMatchObject({ object: nameOf(made), reason: "length-implausible", found: 30 });
    expect(made.store.contentOf(nameOf(made))).toEqual(damaged);
  });

  test("goes on where another writer was faster between the look and the create", async () => {
    const other = await makeVault();
    await writeObject(other.vault, "data", content, startNow(other), signal);
    const bytes = other.store.contentOf(nameOf(other)) ?? new Uint8Array();
    const { wrap, calls } = watched({ beforeCreate: (store) => store.create(nameOf(other), bytes, signal) });
    const made = await makeVault(undefined, "test", wrap);
    expect((await writeObject(made.vault, "data", content, startNow(made), signal)).outcome).toBe("reused");
    expect(calls).toEqual(["head", "create", "head"]);
  });

  test("checks the length of what the other writer wrote", async () => {
    const name = nameOf(await makeVault());
    const { wrap } = watched({ beforeCreate: (store) => store.create(name, noise("cut", 10), signal) });
    const made = await makeVault(undefined, "test", wrap);
    const error: unknown = await writeObject(made.vault, "data", content, startNow(made), signal).catch(
      (e: unknown) => e,
    );
    expect(defectOf(error)?.reason).toBe("length-implausible");
  });

  test("writes where a collection took the old object just before the refresh", async () => {
    const first = watched();
    const made = await makeVault(undefined, "test", first.wrap);
    await writeObject(made.vault, "data", content, startNow(made), signal);
    made.clock.advance(reuseWindowMs + hourMs);
    const collected: VaultStore = Object.assign(Object.create(made.vault.store) as VaultStore, {
      refresh: async (name: string) => {
        await made.store.remove(name, {}, signal);
        return made.store.refresh(name, signal);
      },
    });
    const vault = { ...made.vault, store: collected };
    expect((await writeObject(vault, "data", content, startNow(made), signal)).outcome).toBe("written");
    expect(made.store.contentOf(nameOf(made))).toBeDefined();
  });

  test("gives up with a conflict where the object comes and goes without end", async () => {
    const name = nameOf(await makeVault());
    let rounds = 0;
    const { wrap } = watched({
      beforeCreate: async (store, count) => {
        rounds = count;
        await store.put(name, noise("other", 10), signal);
      },
    });
    const made = await makeVault(undefined, "test", wrap);
    const store = Object.assign(Object.create(made.vault.store) as VaultStore, { head: async () => undefined });
    const writing = writeObject({ ...made.vault, store }, "data", content, startNow(made), signal);
    await expect(writing).rejects.toMatchObject({ code: "conflict" });
    expect(rounds).toBe(3);
  });

  test("stops at once under an aborted signal", async () => {
    const made = await makeVault();
    const reason = new FarsideError("interrupted", "Stopped.");
    const writing = writeObject(made.vault, "data", content, startNow(made), AbortSignal.abort(reason));
    await expect(writing).rejects.toBe(reason);
  });
});

describe("An object writer", () => {
  test("sends the same content once, however often and at once it is written", async () => {
    const { wrap, calls } = watched();
    const made = await makeVault(undefined, "test", wrap);
    const writer = createObjectWriter(made.vault, startNow(made), signal);
    const all = await Promise.all(Array.from({ length: 10 }, () => writer.write("data", content)));
    all.push(await writer.write("data", content));
    expect(all.filter((one) => one.outcome === "written")).toHaveLength(1);
    expect(all.filter((one) => one.outcome === "reused" && one.storedBytes === 0)).toHaveLength(10);
    expect(calls).toEqual(["head", "create"]);
    // Control: without a writer of its own each asks.
    await writeObject(made.vault, "data", content, startNow(made), signal);
    expect(calls).toEqual(["head", "create", "head"]);
  });

  test("fails all that wait for a write that fails, and tries again when asked again", async () => {
    let failing = true;
    const { wrap } = watched({
      beforeCreate: async () => {
        if (failing) throw new FarsideError("unavailable", "Down.");
      },
    });
    const made = await makeVault(undefined, "test", wrap);
    const writer = createObjectWriter(made.vault, startNow(made), signal);
    const both = await Promise.allSettled([writer.write("data", content), writer.write("data", content)]);
    expect(both.map((one) => one.status)).toEqual(["rejected", "rejected"]);
    failing = false;
    expect((await writer.write("data", content)).outcome).toBe("written");
  });
});
