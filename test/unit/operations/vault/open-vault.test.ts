import { describe, expect, test } from "vitest";
import { MemoryVaultStore } from "../../../../shared/adapters/memory/memory-vault-store.ts";
import { deriveKeys } from "../../../../shared/core/vault/data-keys.ts";
import { keySlotName } from "../../../../shared/core/vault/names.ts";
import { objectIdOf } from "../../../../shared/core/vault/object-id.ts";
import { addKeySlot, writeKeySlot } from "../../../../shared/operations/vault/add-key-slot.ts";
import { initVault } from "../../../../shared/operations/vault/init-vault.ts";
import { listKeySlots } from "../../../../shared/operations/vault/list-key-slots.ts";
import { openVault } from "../../../../shared/operations/vault/open-vault.ts";
import type { OpenVault } from "../../../../shared/operations/vault/open-vault.ts";
import { removeKeySlot } from "../../../../shared/operations/vault/remove-key-slot.ts";
import {
  makeVault,
  manualClock,
  noise,
  passphrase,
  quickScrypt,
  seededRandom,
  signal,
} from "../../../support/vault/vault-fixture.ts";

const random = seededRandom("open");
const second = "another long passphrase";
const id = ({ keys }: OpenVault) => objectIdOf(keys, "document", Buffer.from("{}"));

describe("Making a vault", () => {
  test("gives one that opens with its passphrase to the same keys", async () => {
    const { vault, store } = await makeVault();
    const opened = await openVault({ store, random, passphrase }, signal);
    expect(opened.descriptor).toEqual(vault.descriptor);
    expect(id(opened)).toBe(id(vault));
    expect(opened.openedBySlot).toBe(vault.openedBySlot);
  });

  test("with the full parameters of scrypt works too", async () => {
    const { store } = await makeVault({ kind: "passphrase", passphrase });
    await expect(openVault({ store, random, passphrase }, signal)).resolves.toMatchObject({
      keys: { kind: "encrypted" },
    });
  });

  test("where there is one is refused, and leaves that one as it is", async () => {
    const { store, clock } = await makeVault();
    const before = store.names();
    const again = initVault({ store, clock, random, encryption: { kind: "none" } }, signal);
    await expect(again).rejects.toMatchObject({ code: "already-exists" });
    expect(store.names()).toEqual(before);
  });

  test("several times at once makes exactly one, which opens, and leaves no slot of the others", async () => {
    const clock = manualClock();
    const store = new MemoryVaultStore(() => clock.now());
    const encryption = { kind: "passphrase", passphrase, scrypt: quickScrypt } as const;
    const all = await Promise.allSettled(
      ["a", "b", "c"].map((seed) => initVault({ store, clock, random: seededRandom(seed), encryption }, signal)),
    );
    const winners = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(winners.map(id)).toEqual([id(await openVault({ store, random, passphrase }, signal))]);
    expect(store.names().filter((name) => name.startsWith("keys/"))).toHaveLength(1);
  });

  test("is refused with a short passphrase and with an odd chunk size, before anything is made", async () => {
    const clock = manualClock();
    const store = new MemoryVaultStore(() => clock.now());
    // 15 characters by any count: the letter with its accent is one, and so is the one beyond 16 bits.
    const short = { kind: "passphrase", passphrase: "e\u0301\u{1f600}3456789012345", scrypt: quickScrypt } as const;
    const init = (more: object) => initVault({ store, clock, random, encryption: short, ...more }, signal);
    await expect(init({})).rejects.toMatchObject({ code: "bad-input", details: { characters: 15 } });
    await expect(init({ encryption: { kind: "none" }, chunkSizeBytes: 1000 })).rejects.toMatchObject({
      code: "bad-input",
    });
    await expect(store.head("vault.json", signal)).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("Opening a vault", () => {
  test("takes the passphrase in any Unicode form", async () => {
    const { store } = await makeVault({
      kind: "passphrase",
      passphrase: "caf\u00e9 caf\u00e9 caf\u00e9 caf\u00e9",
      scrypt: quickScrypt,
    });
    const opened = openVault({ store, random, passphrase: "cafe\u0301 cafe\u0301 cafe\u0301 cafe\u0301" }, signal);
    await expect(opened).resolves.toBeDefined();
  });

  test("tells no passphrase, a wrong one and no vault apart, and never repeats the passphrase", async () => {
    const { store } = await makeVault();
    await expect(openVault({ store, random }, signal)).rejects.toMatchObject({ code: "passphrase-missing" });
    const wrong: unknown = await openVault({ store, random, passphrase: second }, signal).catch(
      (error: unknown) => error,
    );
    expect(wrong).toMatchObject({ code: "passphrase-wrong", details: { tried: 1, damaged: [] } });
    expect(JSON.stringify([wrong, String(wrong)])).not.toContain(second);
    const empty = new MemoryVaultStore(() => 0);
    await expect(openVault({ store: empty, random }, signal)).rejects.toMatchObject({ code: "not-found" });
    await empty.createContainer(signal);
    await expect(openVault({ store: empty, random }, signal)).rejects.toMatchObject({ code: "not-found" });
  });

  test("names a damaged slot where the passphrase opens none of the whole ones: it may be that slot's", async () => {
    const { store } = await makeVault();
    await store.put("keys/broken.json", Buffer.from("{}"), signal);
    const wrong = openVault({ store, random, passphrase: second }, signal);
    await expect(wrong).rejects.toMatchObject({ code: "passphrase-wrong", details: { damaged: ["keys/broken.json"] } });
    await expect(openVault({ store, random, passphrase }, signal)).resolves.toBeDefined();
  });

  test("of more key slots than anybody has is refused before any is tried", async () => {
    const { store } = await makeVault();
    for (let at = 0; at < 64; at++) await store.put(`keys/more-${at}.json`, Buffer.from("{}"), signal);
    await expect(openVault({ store, random, passphrase }, signal)).rejects.toMatchObject({ code: "vault-corrupt" });
  });

  test("passes over a slot that another vault's init left behind", async () => {
    const { store } = await makeVault();
    const other = await makeVault(undefined, "other");
    const slot = other.store.names().find((name) => name.startsWith("keys/")) ?? "";
    await store.put(slot.replace("keys/", "keys/"), other.store.contentOf(slot) ?? new Uint8Array(), signal);
    await expect(openVault({ store, random, passphrase }, signal)).resolves.toBeDefined();
  });

  test("opens one whose slot has several key epochs, and writes under the last", async () => {
    const { vault, store, clock } = await makeVault();
    const { vaultId } = vault.descriptor;
    const dataKeys = new Uint8Array(Buffer.concat([noise("epoch 0", 32), noise("epoch 1", 32)]));
    await writeKeySlot({ store, random, clock, vaultId, dataKeys, passphrase: second, scrypt: quickScrypt }, signal);
    const opened = await openVault({ store, random, passphrase: second }, signal);
    expect(id(opened)).toBe(objectIdOf(deriveKeys(vaultId, dataKeys), "document", Buffer.from("{}"), 1));
  });
});

describe("Key slots", () => {
  test("change a passphrase: the new one opens, the old one goes, no data is touched", async () => {
    const { vault, store, clock } = await makeVault();
    const oldSlot = vault.openedBySlot ?? "";
    const slotId = await addKeySlot(vault, { passphrase: second, clock, scrypt: quickScrypt }, signal);
    const opened = await openVault({ store, random, passphrase: second }, signal);
    expect(id(opened)).toBe(id(vault));
    await removeKeySlot(opened, oldSlot, signal);
    await expect(openVault({ store, random, passphrase }, signal)).rejects.toMatchObject({ code: "passphrase-wrong" });
    const { slots } = await listKeySlots(opened, signal);
    expect(slots).toMatchObject([{ slotId, kind: "passphrase", inUse: true }]);
  });

  test("keep the one that opened the vault, and so the last one", async () => {
    const { vault, store } = await makeVault();
    await expect(removeKeySlot(vault, vault.openedBySlot ?? "", signal)).rejects.toMatchObject({ code: "refused" });
    expect(store.contentOf(keySlotName(vault.openedBySlot ?? ""))).toBeDefined();
  });

  test("are not removed once the one that opened the vault has gone", async () => {
    const { vault, store, clock } = await makeVault();
    const slotId = await addKeySlot(vault, { passphrase: second, clock, scrypt: quickScrypt }, signal);
    await store.remove(keySlotName(vault.openedBySlot ?? ""), {}, signal);
    await expect(removeKeySlot(vault, slotId, signal)).rejects.toMatchObject({ code: "refused" });
  });

  test("are named where there is none of that name, or the vault has no keys", async () => {
    const { vault, clock } = await makeVault();
    await expect(removeKeySlot(vault, "nothing", signal)).rejects.toMatchObject({ code: "not-found" });
    const plain = await makeVault({ kind: "none" });
    await expect(addKeySlot(plain.vault, { passphrase: second, clock }, signal)).rejects.toMatchObject({
      code: "refused",
    });
  });
});
