import { expect, test } from "vitest";
import { objectIdOf } from "../../../../shared/core/vault/object-id.ts";
import { createObjectWriter } from "../../../../shared/operations/vault/object-writer.ts";
import { readObject } from "../../../../shared/operations/vault/read-object.ts";
import { startSession } from "../../../../shared/operations/vault/work-blobs.ts";
import type { VaultBlobContent } from "../../../../shared/ports/vault-store.ts";
import { kib, makeVault, newBackup, noise, prose, signal } from "../../../support/vault/vault-fixture.ts";

test("What an object was stored as is not kept in memory beside what it holds", async () => {
  for (const keyed of ["passphrase", "none"] as const) {
    const made = await makeVault(keyed === "none" ? { kind: "none" } : undefined);
    const { vault } = made;
    const session = await startSession(vault, newBackup("web01", made.clock.now()).attemptId, signal);
    for (const packs of [true, false]) {
      const plain = packs ? prose("fox", 64 * kib) : noise("n", 64 * kib);
      await createObjectWriter(vault, session, signal).write("data", plain);
      const given: VaultBlobContent[] = [];
      const store = Object.create(vault.store) as typeof vault.store;
      store.read = async (...args) => {
        const blob = await vault.store.read(...args);
        if (blob !== undefined) given.push(blob);
        return blob;
      };
      const id = objectIdOf(vault.keys, "data", plain);
      const read = await readObject({ ...vault, store }, "data", id, signal);
      expect(Buffer.from(read).equals(plain)).toBe(true);
      const [blob] = given;
      // Neither encrypted nor compressed it is the content itself.
      const isItself = keyed === "none" && !packs;
      expect(blob?.content.buffer === read.buffer).toBe(isItself);
      expect(blob?.content.byteLength === 0).toBe(!isItself);
    }
  }
});
