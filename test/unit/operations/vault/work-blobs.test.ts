import { describe, expect, test } from "vitest";
import { attemptId } from "../../../../shared/core/ids.ts";
import { timestamp } from "../../../../shared/core/timestamp.ts";
import {
  createWorkBlob,
  deleteWork,
  listWorkBlobs,
  listWorkRuns,
  putWorkBlob,
  readWorkBlob,
  serviceTime,
  startSession,
} from "../../../../shared/operations/vault/work-blobs.ts";
import { collect, hourMs, makeVault, newBackup, signal } from "../../../support/vault/vault-fixture.ts";

const bytes = (text: string) => Buffer.from(text);

describe("The work of a run", () => {
  test("is created once or put over, read, listed by path, and deleted whole", async () => {
    const { vault, clock, store } = await makeVault();
    const before = store.names();
    const { runId } = newBackup("web01", clock.now());
    const other = newBackup("db01", clock.now()).runId;
    expect((await createWorkBlob(vault, runId, "os/0001", bytes("a"), signal)).kind).toBe("created");
    expect((await createWorkBlob(vault, runId, "os/0001", bytes("b"), signal)).kind).toBe("exists");
    await putWorkBlob(vault, runId, "os/0002", bytes("c"), signal);
    await putWorkBlob(vault, runId, "os/0002", bytes("dd"), signal);
    await putWorkBlob(vault, other, "os/0003", bytes("e"), signal);
    expect((await readWorkBlob(vault, runId, "os/0001", 10, signal))?.content).toEqual(new Uint8Array(bytes("a")));
    expect(await readWorkBlob(vault, runId, "os/0009", 10, signal)).toBeUndefined();
    const listed = await collect(listWorkBlobs(vault, runId, "os/", signal));
    expect(listed.map(({ path, sizeBytes }) => [path, sizeBytes])).toEqual([
      ["os/0001", 1],
      ["os/0002", 2],
    ]);
    expect((await collect(listWorkRuns(vault, signal))).toSorted()).toEqual([runId, other].toSorted());
    expect(await deleteWork(vault, runId, signal)).toBe(2);
    expect(await deleteWork(vault, runId, signal)).toBe(0);
    await deleteWork(vault, other, signal);
    expect(store.names()).toEqual(before);
  });

  test("has no path that leads elsewhere", async () => {
    const { vault, clock } = await makeVault();
    const { runId } = newBackup("web01", clock.now());
    for (const path of ["", "/x", "../x", "a/../b", "a//b", "a/", ".", "a b"]) {
      expect(() => putWorkBlob(vault, runId, path, bytes("x"), signal)).toThrow(/not a path/);
    }
  });

  test("begins a session once: whoever asks again, later, gets the same start", async () => {
    const { vault, clock } = await makeVault();
    const { attemptId: first, runId } = newBackup("web01", clock.now());
    const began = timestamp(clock.now());
    const at = () => Promise.all([startSession(vault, first, signal), startSession(vault, first, signal)]);
    expect(await at()).toEqual([{ startedAt: began }, { startedAt: began }]);
    clock.advance(hourMs);
    expect(await startSession(vault, first, signal)).toEqual({ startedAt: began });
    expect(await serviceTime(vault, first, signal)).toBe(timestamp(clock.now()));
    // Another attempt is another session.
    expect(await startSession(vault, attemptId(runId, 2), signal)).toEqual({ startedAt: timestamp(clock.now()) });
  });
});
