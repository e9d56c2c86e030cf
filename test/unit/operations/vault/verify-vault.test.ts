import { describe, expect, test } from "vitest";
import { verifyVault } from "../../../../shared/operations/vault/verify-vault.ts";
import type { VerifyOptions } from "../../../../shared/operations/vault/verify-vault.ts";
import { verifyVm } from "../../../../shared/operations/vault/verify-vm.ts";
import { parseVmId } from "../../../../shared/core/ids.ts";
import {
  backUp,
  hourMs,
  kib,
  makeVault,
  noise,
  prose,
  seededRandom,
  signal,
} from "../../../support/vault/vault-fixture.ts";
import type { TestVault } from "../../../support/vault/vault-fixture.ts";

/** Two VMs, of 600 small-ish chunks together, most of them in one disk. */
async function bigger(): Promise<TestVault> {
  const made = await makeVault({ kind: "none" });
  const parts = Array.from({ length: 600 }, (_, at) => prose(`chunk ${at}`, 256 * kib));
  await backUp(made, "web01", { os: Buffer.concat(parts), data: noise("data", 3000) });
  made.clock.advance(hourMs);
  await backUp(made, "db01", { os: Buffer.concat(parts.slice(300)) });
  return made;
}

const codes = async ({ vault }: TestVault, options: VerifyOptions) =>
  (await verifyVault(vault, options, signal)).findings.map((finding) => `${finding.code} ${finding.object}`).toSorted();

describe("Verifying a vault", () => {
  test("finds the same by one pass and by many, by listing and one by one", async () => {
    const made = await bigger();
    const chunks = made.store.names().filter((name) => name.startsWith("chunks/"));
    const gone = chunks.filter((_, at) => at % 50 === 0);
    const cut = chunks.filter((_, at) => at % 50 === 1);
    for (const name of gone) await made.store.remove(name, {}, signal);
    for (const name of cut) await made.store.put(name, new Uint8Array(20), signal);
    const wanted = [
      ...gone.map((name) => `chunk-missing ${name}`),
      ...cut.map((name) => `chunk-corrupt ${name}`),
    ].toSorted();
    expect(chunks).toHaveLength(601);
    expect(await codes(made, {})).toEqual(wanted);
    expect(await codes(made, { maxChunksInMemory: 10, parallelism: 3 })).toEqual(wanted);
    expect(await codes(made, { headsPerFirstByte: 0 })).toEqual(wanted);
    expect(await codes(made, { readData: true })).toEqual(wanted);
  });

  test("lists where enough chunks begin alike, and else looks for each", async () => {
    const made = await bigger();
    const calls = { head: 0, list: 0 };
    const store = Object.create(made.store) as typeof made.store;
    for (const method of ["read", "listFolders"] as const) {
      Object.assign(store, { [method]: made.store[method].bind(made.store) });
    }
    for (const method of ["head", "list"] as const) {
      Object.assign(store, {
        [method]: (name: string, s: AbortSignal): unknown => {
          if (name.startsWith("chunks/")) calls[method] += 1;
          return made.store[method](name, s);
        },
      });
    }
    const report = await verifyVault({ ...made.vault, store }, {}, signal);
    expect(report.checked).toMatchObject({ vms: 2, restorePoints: 2, disks: 3, chunks: 601, readChunks: 0 });
    // Two or three chunks of each first byte: less than a listing is worth.
    expect(calls).toEqual({ head: 601, list: 0 });
    await verifyVault({ ...made.vault, store }, { headsPerFirstByte: 0 }, signal);
    expect(calls.head).toBe(601);
    expect(calls.list).toBeGreaterThan(200);
  });

  test("reads every distinct chunk once, or a share of them by chance, another each time", async () => {
    const made = await bigger();
    const all = await verifyVault(made.vault, { readData: true }, signal);
    expect(all.checked).toMatchObject({ readChunks: 601, readBytes: 600 * 256 * kib + 3000 });
    const shares = new Set<number>();
    for (const seed of ["a", "b", "c"]) {
      const vault = { ...made.vault, random: seededRandom(seed) };
      const { checked } = await verifyVault(vault, { samplePercent: 20 }, signal);
      expect(checked.readChunks).toBeGreaterThan(60);
      expect(checked.readChunks).toBeLessThan(180);
      shares.add(checked.readBytes);
    }
    expect(shares.size).toBeGreaterThan(1);
  });

  test("counts what it does not tell one by one", async () => {
    const made = await bigger();
    for (const name of made.store.names()) if (name.startsWith("chunks/")) await made.store.remove(name, {}, signal);
    const report = await verifyVault(made.vault, { maxFindings: 10, readData: true }, signal);
    expect([report.findings.length, report.untold]).toEqual([10, 591]);
  });

  test("of one VM looks at nothing of the others", async () => {
    const made = await bigger();
    const report = await verifyVm(made.vault, parseVmId("db01-0a1b"), { readData: true }, signal);
    expect(report.checked).toMatchObject({ vms: 1, restorePoints: 1, chunks: 300, readChunks: 300 });
  });

  test("joins neighbouring damaged chunks of a disk only where they are the same object", async () => {
    const made = await makeVault();
    const same = prose("same", 256 * kib);
    const other = prose("other", 256 * kib);
    await backUp(made, "web01", { os: Buffer.concat([same, same, other, same, new Uint8Array(100)]) });
    for (const name of made.store.names()) if (name.startsWith("chunks/")) await made.store.remove(name, {}, signal);
    const report = await verifyVault(made.vault, {}, signal);
    const ranges = report.findings.map((finding) =>
      finding.affected.flatMap((one) =>
        one.ranges.map(({ fromByte, toByte }) => [fromByte / (256 * kib), toByte / (256 * kib)]),
      ),
    );
    expect(ranges.toSorted((a, b) => b.length - a.length)).toEqual([
      [
        [0, 2],
        [3, 4],
      ],
      [[2, 3]],
    ]);
  });

  test("stops under its signal, and throws what the store throws", async () => {
    const made = await bigger();
    await expect(verifyVault(made.vault, {}, AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
  });
});
