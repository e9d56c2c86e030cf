/** Restores to files and to standard output with nothing but the vault: no service, no table, no source. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Manifest } from "../../../shared/core/vault/manifest.ts";
import { objectName } from "../../../shared/core/vault/object-id.ts";
import { farside } from "../../support/cli/farside.ts";
import { haveTools } from "../../support/tools.ts";
import { chunkIds, spawnCli, startAzuriteVault, type AzuriteVault } from "../../support/vault/azurite-vault.ts";
import { backUp, hourMs, kib, noise, prose, signal } from "../../support/vault/vault-fixture.ts";

const chunk = 256 * kib;
const mib = 1024 * kib;

let subject: AzuriteVault;
let folder: string;
let first: Manifest;
let second: Manifest;
/** 72 MiB, data at both ends and a hole between: the first record of how far it is comes behind the hole. */
const os = Buffer.alloc(72 * mib);
/** No whole number of chunks. */
const data = Buffer.concat([prose("data", 3 * chunk), Buffer.alloc(3 * chunk), noise("data end", 5120)]);
const older = Buffer.from(data);
older.fill(7, 0, chunk);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-restore-"));
  subject = await startAzuriteVault();
  os.set(noise("os head", 6 * mib), 0);
  os.set(noise("os tail", 6 * mib), 60 * mib);
  first = await backUp(subject, "web1", { os, data: older });
  subject.clock.advance(hourMs);
  second = await backUp(subject, "web1", { os, data });
}, 120_000);
afterEach(() => subject.proxy.reset());
afterAll(async () => {
  await subject?.stop();
  await rm(folder, { recursive: true, force: true });
});

const run = (...args: string[]) => farside(args, { environment: subject.environment });
let places = 0;
const newPlace = (): string => join(folder, `place-${++places}`);

/** Slows the reading of chunks down, so that there is a middle to be killed in. */
const slow = (ms: number) => subject.proxy.inject((one) => one.path.includes("/chunks/"), { kind: "delay", ms }, 1e6);
const chunksRead = (): readonly string[] =>
  subject.proxy.requests.flatMap(({ path }) => /\/chunks\/.*?([0-9a-f]{64})/.exec(path)?.[1] ?? []);

interface State {
  readonly durableBytes: number;
}

async function untilDurable(place: string, disk = "os.raw"): Promise<State> {
  for (;;) {
    try {
      const text = readFileSync(join(place, `${disk}.partial.state`), "utf8");
      const durable = [...text.matchAll(/"durableBytes":(\d+)/g)].map(([, bytes]) => Number(bytes));
      if (Math.max(0, ...durable) > 0) return { durableBytes: Math.max(...durable) };
    } catch {
      // Not there yet.
    }
    await sleep(10);
  }
}

describe("A restore to files", () => {
  test("gives all disks of the newest point, of a named one, and of the newest before a time, sparse", async () => {
    const cases: readonly (readonly [string[], Buffer])[] = [
      [[], data],
      [["--point", first.pointId], older],
      [["--at", first.snapshotAt], older],
    ];
    for (const [flags, expected] of cases) {
      const place = newPlace();
      const done = await run("restore", "web1", "--to-file", place, ...flags);
      expect(done).toMatchObject({ exitCode: 0, err: "" });
      expect((await readdir(place)).sort()).toEqual(["data.raw", "os.raw"]);
      expect((await readFile(join(place, "data.raw"))).equals(expected)).toBe(true);
      expect((await readFile(join(place, "os.raw"))).equals(os)).toBe(true);
      expect((await stat(join(place, "os.raw"))).blocks * 512).toBeLessThan(14 * mib);
    }
  });

  test("goes on after a kill where it stood, and fetches nothing twice that stood for good", async () => {
    const place = newPlace();
    const command = ["restore", "web1", "--disk", "os", "--to-file", place];
    slow(60);
    const killed = spawnCli(command, subject.environment);
    const { durableBytes } = await untilDurable(place);
    killed.child.kill("SIGKILL");
    expect((await killed.ended).exit).toBe("SIGKILL");
    expect(await readdir(place)).toEqual(["os.raw.partial", "os.raw.partial.state"]);
    subject.proxy.reset();
    const done = await run(...command, "--json");
    expect(done).toMatchObject({ exitCode: 0, err: "" });
    expect(JSON.parse(done.out)).toMatchObject({ disks: [{ name: "os", resumedBytes: durableBytes }] });
    expect(await readdir(place)).toEqual(["os.raw"]);
    expect((await readFile(join(place, "os.raw"))).equals(os)).toBe(true);
    const [disk] = second.disks;
    const ids = disk === undefined ? [] : await chunkIds(subject.vault, disk);
    const before = new Set(ids.slice(0, durableBytes / chunk));
    const fetched = chunksRead();
    expect(fetched.length).toBeGreaterThan(0);
    expect(fetched.filter((id) => before.has(id))).toEqual([]);
    // The control: a restore that begins anew fetches them.
    subject.proxy.reset();
    await run(...command.slice(0, -1), newPlace());
    expect(chunksRead().filter((id) => before.has(id)).length).toBeGreaterThanOrEqual(24);
  });

  test("keeps its work at Ctrl-C, says how to go on, and does", async () => {
    const place = newPlace();
    const command = ["restore", "web1", "--to-file", place];
    slow(60);
    const stopped = spawnCli(command, subject.environment);
    await untilDurable(place);
    stopped.child.kill("SIGINT");
    const { exit, err } = await stopped.ended;
    expect(exit).toBe(130);
    expect(err).toMatch(
      /is kept in .*place-\d+ \(\*\.partial\): the same command goes on where it stood\.\nfarside: Interrupted/,
    );
    expect(existsSync(join(place, "os.raw"))).toBe(false);
    subject.proxy.reset();
    expect((await run(...command)).exitCode).toBe(0);
    expect((await readFile(join(place, "os.raw"))).equals(os)).toBe(true);
    expect((await readFile(join(place, "data.raw"))).equals(data)).toBe(true);
  });

  test("refuses a second one at once into the same folder", async () => {
    const place = newPlace();
    slow(250);
    const one = spawnCli(["restore", "web1", "--disk", "os", "--to-file", place], subject.environment);
    await untilDurable(place);
    const two = await run("restore", "web1", "--disk", "os", "--to-file", place);
    expect(two.exitCode).toBe(4);
    expect(two.err).toMatch(/^farside: Another restore is writing into .*place-\d+: wait/);
    subject.proxy.reset();
    expect((await one.ended).exit).toBe(0);
    expect((await readFile(join(place, "os.raw"))).equals(os)).toBe(true);
  });

  test("refuses the unfinished work of another point, and what stands there, unless they are to be replaced", async () => {
    const place = newPlace();
    await mkdir(place);
    const of = (point: string, ...flags: string[]) =>
      run("restore", "web1", "--disk", "data", "--point", point, "--to-file", place, ...flags);
    const fault = subject.proxy.inject(
      (one) => one.path.includes("/chunks/"),
      { kind: "answer", status: 403, code: "AuthorizationFailure" },
      1e6,
    );
    expect((await of(first.pointId)).exitCode).toBe(1);
    expect(fault.hits).toBeGreaterThan(0);
    subject.proxy.reset();
    const refused = await of(second.pointId);
    expect(refused.exitCode).toBe(4);
    expect(refused.err).toContain(`unfinished work of another restore, of data of restore point ${first.pointId}`);
    expect(refused.err).toContain(`rm ${join(place, "data.raw.partial")} ${join(place, "data.raw.partial.state")}`);
    await writeFile(join(place, "data.raw"), "mine");
    expect((await of(second.pointId, "--overwrite")).exitCode).toBe(0);
    expect((await readFile(join(place, "data.raw"))).equals(data)).toBe(true);
    expect(await readdir(place)).toEqual(["data.raw"]);
    const again = await of(first.pointId);
    expect(again).toMatchObject({ exitCode: 4, err: expect.stringContaining("give --overwrite") as string });
    expect((await readFile(join(place, "data.raw"))).equals(data)).toBe(true);
  });

  test("takes disks of different points only where that is said out loud", async () => {
    const place = newPlace();
    const mix = ["restore", "web1", "--disk", `data@${first.pointId}`, "os", "--to-file", place];
    const refused = await run(...mix);
    expect(refused.exitCode).toBe(4);
    expect(refused.err).toContain(first.pointId);
    expect(refused.err).toContain(second.pointId);
    expect((await run(...mix, "--accept-mixed-points")).exitCode).toBe(0);
    expect((await readFile(join(place, "data.raw"))).equals(older)).toBe(true);
  });

  test.runIf(haveTools("root"))("into a full file system says so, and goes on when there is space", async () => {
    const place = newPlace();
    await mkdir(place);
    const mount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=9m", "none", place]);
    expect(mount.status).toBe(0);
    try {
      const command = ["restore", "web1", "--disk", "os", "--to-file", place];
      const full = await run(...command, "--json");
      expect(full.exitCode).toBe(1);
      expect(JSON.parse(full.out)).toMatchObject({ error: { code: "target-full" } });
      expect(full.err).toMatch(/There is no space left for .*os\.raw/);
      spawnSync("mount", ["-o", "remount,size=20m", place]);
      const done = await run(...command, "--json");
      expect(done.exitCode).toBe(0);
      const [disk] = (JSON.parse(done.out) as { disks: { resumedBytes: number }[] }).disks;
      expect(disk?.resumedBytes).toBeGreaterThan(6 * mib);
      expect((await readFile(join(place, "os.raw"))).equals(os)).toBe(true);
    } finally {
      spawnSync("umount", [place]);
    }
  });

  test.runIf(haveTools("qemu-img"))("as VHD gives a disk that qemu sees whole", async () => {
    const place = newPlace();
    expect((await run("restore", "web1", "--format", "vhd", "--to-file", place)).exitCode).toBe(0);
    await writeFile(join(place, "os.raw"), os);
    const info = spawnSync("qemu-img", ["info", "--output=json", "-f", "vpc", join(place, "os.vhd")]);
    expect(JSON.parse(info.stdout.toString())).toMatchObject({ "virtual-size": os.length, format: "vpc" });
    const compare = ["compare", "-f", "raw", "-F", "vpc", join(place, "os.raw"), join(place, "os.vhd")];
    expect(spawnSync("qemu-img", compare).stdout.toString()).toMatch(/identical/);
  });
});

describe("A restore point at risk of USN rollback", () => {
  test("is marked in the list, and refused with exit code 4 until the risk is accepted", async () => {
    subject.clock.advance(hourMs);
    const safety = { usnRollbackRisk: true, note: "A domain controller that was backed up while it was off." };
    await backUp(subject, "dc1", { os: prose("dc", chunk) }, { safety });
    expect((await run("point", "list", "dc1")).out).toMatch(/standing, USN ROLLBACK RISK/);
    expect((await run("point", "show", "dc1", "latest")).out).toMatch(/USN rollback: +at risk: A domain controller/);
    const place = newPlace();
    const refused = await run("restore", "dc1", "--to-file", place);
    expect(refused).toMatchObject({ exitCode: 4, out: "" });
    expect(refused.err).toContain("--accept-usn-rollback-risk");
    expect(existsSync(place)).toBe(false);
    expect((await run("restore", "dc1", "--to-file", place, "--accept-usn-rollback-risk")).exitCode).toBe(0);
  });
});

describe("A restore to standard output", () => {
  const stdout = (args: string[]) =>
    spawnCli(["restore", "web1", "--to-file", "-", ...args], subject.environment).ended;

  test("gives one disk and nothing else, raw or as VHD", async () => {
    const raw = await stdout(["--disk", "os"]);
    expect(raw).toMatchObject({ exit: 0, err: "" });
    expect(raw.out.equals(os)).toBe(true);
    const vhd = await stdout(["--disk", "data", "--format", "vhd"]);
    const place = newPlace();
    await run("restore", "web1", "--disk", "data", "--format", "vhd", "--to-file", place);
    expect(vhd.out.equals(await readFile(join(place, "data.vhd")))).toBe(true);
  });

  test("refuses more than one disk, a document beside it, and a terminal", async () => {
    expect(await run("restore", "web1", "--to-file", "-")).toMatchObject({ exitCode: 2, out: "" });
    const outBytes = async (): Promise<void> => undefined;
    const more = await farside(["restore", "web1", "--to-file", "-"], { environment: subject.environment, outBytes });
    expect(more).toMatchObject({ exitCode: 2, out: "", err: expect.stringContaining("--disk (os, data)") as string });
    const json = ["restore", "web1", "--disk", "os", "--to-file", "-", "--json"];
    expect((await farside(json, { environment: subject.environment, outBytes })).exitCode).toBe(2);
  });

  test("ends quietly when its reader leaves", async () => {
    const { child, ended } = spawnCli(["restore", "web1", "--disk", "os", "--to-file", "-"], subject.environment);
    child.stdout?.once("data", () => child.stdout?.destroy());
    expect(await ended).toMatchObject({ exit: 0, err: "" });
  });

  test("reads no further than its reader takes", async () => {
    const { child, ended } = spawnCli(["restore", "web1", "--disk", "os", "--to-file", "-"], subject.environment);
    child.stdout?.pause();
    child.stdout?.removeAllListeners("data");
    while (chunksRead().length < 5) await sleep(10);
    await sleep(500);
    // Those ahead, and what the pipe and the stream hold; the disk has 48 chunks.
    expect(chunksRead().length).toBeLessThan(24);
    child.kill("SIGKILL");
    child.stdout?.resume();
    await ended;
  });
});

describe("Lost chunks", () => {
  test("end a restore with the disk and the bytes, or become zeros that are listed with exit code 5", async () => {
    const lost = noise("lost", 3 * chunk);
    subject.clock.advance(hourMs);
    const manifest = await backUp(subject, "frail", { os: lost, data: prose("frail", chunk) });
    const [disk] = manifest.disks;
    const ids = disk === undefined ? [] : await chunkIds(subject.vault, disk);
    const gone = ids[1] as Parameters<typeof objectName>[1];
    await subject.vault.store.remove(objectName("data", gone), {}, signal);
    const place = newPlace();
    const command = ["restore", "frail", "--to-file", place];
    const failed = await run(...command, "--json");
    expect(failed.exitCode).toBe(5);
    expect(JSON.parse(failed.out)).toMatchObject({
      error: { code: "vault-corrupt", details: { disk: "os", fromByte: chunk, toByte: 2 * chunk } },
    });
    expect(failed.err).toMatch(
      /The disk "os" of restore point \S+ cannot be restored: bytes 262144 to 524287 are lost/,
    );
    expect(existsSync(join(place, "data.raw"))).toBe(false);
    const accepted = await run(...command, "--allow-damaged", "--json");
    expect(accepted.exitCode).toBe(5);
    expect(JSON.parse(accepted.out)).toMatchObject({
      disks: [
        { name: "os", damaged: [{ fromByte: chunk, toByte: 2 * chunk, reason: "missing" }] },
        { name: "data", damaged: [] },
      ],
    });
    expect(accepted.err).toMatch(/^LOST: disk os, bytes 262144 to 524287, now zeros: missing \(chunks\//);
    lost.fill(0, chunk, 2 * chunk);
    expect((await readFile(join(place, "os.raw"))).equals(lost)).toBe(true);
    const output = spawnCli(
      ["restore", "frail", "--disk", "os", "--to-file", "-", "--allow-damaged"],
      subject.environment,
    );
    const { exit, out, err } = await output.ended;
    expect(exit).toBe(5);
    expect(out.equals(lost)).toBe(true);
    expect(err).toMatch(/^LOST: disk os/);
  });
});
