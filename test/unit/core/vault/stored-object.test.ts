import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defectOf } from "../../../../shared/core/vault/corrupt.ts";
import type { VaultKeys } from "../../../../shared/core/vault/data-keys.ts";
import { deriveKeys } from "../../../../shared/core/vault/data-keys.ts";
import { kindBytes, objectIdOf, zeroObjectId } from "../../../../shared/core/vault/object-id.ts";
import type { ObjectKind } from "../../../../shared/core/vault/object-id.ts";
import { decodeObject, encodeObject, isPlausibleStoredLength } from "../../../../shared/core/vault/stored-object.ts";
import { noise, prose } from "../../../support/vault/vault-fixture.ts";

const none: VaultKeys = { kind: "none" };
const encrypted = deriveKeys("vault-one", noise("data key", 32));
const twoEpochs = deriveKeys("vault-one", Buffer.concat([noise("data key", 32), noise("next data key", 32)]));
const nonce = noise("nonce", 12);
const kinds = Object.keys(kindBytes) as ObjectKind[];
const limit = 1024 * 1024;

async function store(keys: VaultKeys, kind: ObjectKind, plain: Uint8Array) {
  const id = objectIdOf(keys, kind, plain);
  return { id, stored: await encodeObject(keys, kind, id, plain, nonce) };
}

async function defect(work: Promise<unknown>) {
  return work.then(
    () => "nothing was thrown",
    (error: unknown) => defectOf(error)?.reason ?? String(error),
  );
}

describe("A stored object", () => {
  test("gives back what was put in, for any content, kind and keys, and has a plausible length", async () => {
    const content = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 5000 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 20_000 }))
        .map(([unit, length]) => new Uint8Array(Buffer.alloc(length, unit))),
    );
    const keyed = fc.constantFrom(none, encrypted, twoEpochs);
    await fc.assert(
      fc.asyncProperty(content, fc.constantFrom(...kinds), keyed, async (plain, kind, keys) => {
        const { id, stored } = await store(keys, kind, plain);
        fc.pre(id !== zeroObjectId);
        expect(isPlausibleStoredLength(keys, plain.length, stored.length)).toBe(true);
        const expected = { kind, id, maxPlainBytes: limit, plainBytes: plain.length };
        expect(Buffer.from(await decodeObject(keys, expected, stored)).equals(plain)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test("is refused after any change to any one of its bytes", async () => {
    const { id, stored } = await store(encrypted, "data", prose("fox", 3000));
    const expected = { kind: "data", id, maxPlainBytes: limit } as const;
    for (let at = 0; at < stored.length; at++) {
      const changed = new Uint8Array(stored);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect(await defect(decodeObject(encrypted, expected, changed))).toMatch(/^[a-z-]+$/);
    }
    // Control: unchanged it decodes.
    expect(await decodeObject(encrypted, expected, stored)).toHaveLength(3000);
  });

  test("is refused at any other length, with an error that names the defect", async () => {
    const { id, stored } = await store(encrypted, "data", noise("n", 300));
    const expected = { kind: "data", id, maxPlainBytes: limit } as const;
    for (let length = 0; length < stored.length; length++) {
      expect(await defect(decodeObject(encrypted, expected, stored.subarray(0, length)))).toMatch(
        /^(too-short|length-mismatch)$/,
      );
    }
    expect(await defect(decodeObject(encrypted, expected, Buffer.concat([stored, Buffer.alloc(1)])))).toBe(
      "length-mismatch",
    );
  });

  test("is compressed only where that saves three in a hundred", async () => {
    const packed = await store(none, "data", prose("fox", 10_000));
    const unpacked = await store(none, "data", noise("n", 10_000));
    expect(packed.stored[5]).toBe(1);
    expect(packed.stored.length).toBeLessThan(1000);
    expect(unpacked.stored[5]).toBe(0);
    expect(unpacked.stored).toHaveLength(10_056);
  });

  test("is not opened in another's place, by another vault's key, or at another length than its place has", async () => {
    const a = await store(encrypted, "data", prose("a", 500));
    const b = await store(encrypted, "data", prose("b", 500));
    const at = { kind: "data", maxPlainBytes: limit } as const;
    expect(await defect(decodeObject(encrypted, { ...at, id: b.id }, a.stored))).toBe("wrong-id");
    expect(await defect(decodeObject(encrypted, { ...at, id: a.id, kind: "segment" }, a.stored))).toBe("wrong-kind");
    expect(await defect(decodeObject(encrypted, { ...at, id: a.id, plainBytes: 499 }, a.stored))).toBe("plain-length");
    expect(await defect(decodeObject(encrypted, { ...at, id: a.id, maxPlainBytes: 499 }, a.stored))).toBe(
      "plain-length",
    );
    const other = deriveKeys("vault-two", noise("data key", 32));
    expect(await defect(decodeObject(other, { ...at, id: a.id }, a.stored))).toBe("tag-mismatch");
    expect(await defect(decodeObject(none, { ...at, id: a.id }, a.stored))).toBe("encryption-mismatch");
  });

  test("of an older key epoch stays readable, and one of a newer epoch is named", async () => {
    const old = await store(encrypted, "data", prose("a", 500));
    const recent = await store(twoEpochs, "data", prose("a", 500));
    expect(old.id).not.toBe(recent.id);
    const at = { kind: "data", maxPlainBytes: limit } as const;
    expect(await decodeObject(twoEpochs, { ...at, id: old.id }, old.stored)).toHaveLength(500);
    expect(await decodeObject(twoEpochs, { ...at, id: recent.id }, recent.stored)).toHaveLength(500);
    expect(await defect(decodeObject(encrypted, { ...at, id: recent.id }, recent.stored))).toBe("unknown-epoch");
  });

  test("without content is never made", async () => {
    await expect(encodeObject(none, "data", zeroObjectId, new Uint8Array(0), nonce)).rejects.toThrow(/without content/);
  });
});

describe("The length of a stored object", () => {
  test("is plausible as the plain length or as at most 97 % of it, and nothing between or beyond", () => {
    const plausible = (stored: number) => isPlausibleStoredLength(encrypted, 1000, stored);
    expect([72, 80, 81, 1042, 1043, 1071, 1072, 1073].map(plausible)).toEqual([
      false,
      false,
      true,
      true,
      false,
      false,
      true,
      false,
    ]);
  });
});
