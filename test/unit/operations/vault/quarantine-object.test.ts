import { expect, test } from "vitest";
import { timestamp } from "../../../../shared/core/timestamp.ts";
import { objectIdOf, objectName } from "../../../../shared/core/vault/object-id.ts";
import { quarantineObject } from "../../../../shared/operations/vault/quarantine-object.ts";
import { verifyVault } from "../../../../shared/operations/vault/verify-vault.ts";
import { writeObject } from "../../../../shared/operations/vault/write-object.ts";
import { backUp, makeVault, noise, signal } from "../../../support/vault/vault-fixture.ts";

test("A damaged chunk goes to quarantine, and the next backup of its content heals what it hit", async () => {
  const made = await makeVault();
  const content = noise("a", 5000);
  await backUp(made, "web01", { os: content });
  const id = objectIdOf(made.vault.keys, "data", content);
  const name = objectName("data", id);
  // Control: what is whole stays where it is.
  expect(await quarantineObject(made.vault, "data", id, signal)).toBe("whole");

  const damaged = made.store.contentOf(name) ?? new Uint8Array();
  damaged[100] = (damaged[100] ?? 0) ^ 1;
  for (const at of [0, 1]) {
    await made.store.put(name, damaged, signal);
    expect(await quarantineObject(made.vault, "data", id, signal)).toBe("quarantined");
    expect(made.store.contentOf(`quarantine/${id}.${at}`)).toEqual(damaged);
  }
  expect(await quarantineObject(made.vault, "data", id, signal)).toBe("absent");
  expect((await verifyVault(made.vault, {}, signal)).findings.map((one) => one.code)).toEqual(["chunk-missing"]);
  const session = { startedAt: timestamp(made.clock.now()) };
  expect((await writeObject(made.vault, "data", content, session, signal)).outcome).toBe("written");
  expect((await verifyVault(made.vault, { readData: true }, signal)).findings).toEqual([]);
});
