/** `farside up --arm` as a process: its sample VMs through stops and kills, and what stands in its way. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { LocalArmClient } from "../../../local/arm/local-client.ts";
import { commandLineOf } from "../../../local/azurite/running-process.ts";
import { findTool } from "../../../local/demo/os-disk.ts";
import type { LocalArmFile } from "../../../local/stack/local-arm.ts";
import { readStackFile } from "../../../local/stack/stack-file.ts";
import { farside } from "../../support/cli/farside.ts";
import { parsed } from "../../support/stack-shell.ts";
import { startUp, type Up } from "../../support/up-process.ts";

const never = new AbortController().signal;
const mib = 1024 ** 2;

let folder: string;
const started: Up[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-arm-stack-"));
});
afterEach(async () => {
  for (const { child, exited } of started.splice(0)) {
    child.kill("SIGINT");
    await exited;
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function up(...args: readonly string[]): Promise<Up> {
  return upWith({}, ...args);
}

async function upWith(environment: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Up> {
  const one = await startUp(folder, args, environment);
  started.push(one);
  return one;
}

const data = (): string => join(folder, "data");

function armIn(dataFolder: string): LocalArmFile {
  const arm = readStackFile(dataFolder)?.arm;
  if (arm === undefined) throw new Error("The stack has no local ARM.");
  return arm;
}

interface Run {
  readonly state: string;
  readonly disks: readonly { readonly name: string; readonly mode: string; readonly changedBytes: number }[];
}

const run = (...args: readonly string[]) => farside([...args, "--data", data()], { cwd: folder });

/** Of the local ARM that works on the folder. */
async function armProcess(): Promise<number> {
  const text = await readFile(join(data(), "arm", "arm-process.json"), "utf8");
  return (JSON.parse(text) as { readonly pid: number }).pid;
}

async function untilGone(pid: number): Promise<void> {
  while ((await commandLineOf(pid)) !== undefined) await sleep(20);
}

test("farside up --arm makes two sample VMs, and the lines that it prints protect them and back one up", async () => {
  const { out } = await up("--arm", "--data", data());
  const { url, subscriptionId, sampleVms } = armIn(data());
  expect(out()).toContain(url);
  expect(out()).toContain(subscriptionId);
  expect(sampleVms.map((id) => id.split("/").at(-1))).toEqual(["web", "files"]);
  const printed = out()
    .split("\n")
    .flatMap((line) => /^ {2}\S*farside (vm protect .*|policy set .*)$/.exec(line)?.[1] ?? []);
  expect(printed).toHaveLength(3);
  for (const line of printed) {
    const args = line.match(/"[^"]*"|\S+/g)?.map((arg) => arg.replaceAll('"', "")) ?? [];
    expect(await farside(args, { cwd: folder })).toMatchObject({ exitCode: 0 });
  }
  expect(parsed<Run>(await run("backup", "web", "--wait", "--json"))).toMatchObject({
    state: "succeeded",
    disks: [{ mode: "full" }, { mode: "full" }, { mode: "full" }],
  });
  if ((await findTool("mkfs.ext4")) === undefined) return;
  const volumes = parsed<{ fileSystem: string | null; label: string }[]>(await run("volumes", "web", "--json"));
  const formatted = volumes.filter(({ fileSystem }) => fileSystem !== null);
  expect(formatted.map(({ fileSystem, label }) => [fileSystem, label])).toEqual([
    ["ext4", "web-root"],
    ["ext4", "web-data"],
    ["ext4", "web-log"],
  ]);
});

test("FARSIDE_DISCOVER where it is started says where its VMs are looked for by their tag", async () => {
  const own = join(folder, "discovered");
  const at = ["--data", own];
  await upWith({ FARSIDE_DISCOVER: "/subscriptions/10ca1000-0000-4000-8000-000000000001" }, "--arm", ...at);
  expect(await farside(["policy", "set", "daily", "--keep-daily", "1", ...at], { cwd: folder })).toMatchObject({
    exitCode: 0,
  });
  expect(await farside(["vm", "discover", ...at], { cwd: folder })).toMatchObject({ exitCode: 0 });
  const vms = parsed<{ name: string }[]>(await farside(["vm", "list", "--json", ...at], { cwd: folder }));
  expect(vms.map(({ name }) => name)).toEqual(["web"]);
});

test("Started again it has the same VMs and disks, also after a kill, and the next backup is incremental to the byte", async () => {
  const first = await up("--data", data());
  const before = armIn(data());
  const client = new LocalArmClient(before.url, never);
  const disk = `/subscriptions/${before.subscriptionId}/resourceGroups/local/providers/Microsoft.Compute/disks/web-data`;
  const [content, more] = [randomBytes(2 * mib), randomBytes(512)];
  await client.guestWrites(disk, 100 * mib, content);
  await client.guestWrites(disk, 200 * mib, more);
  // Nothing is written any more after this answer.
  first.child.kill("SIGKILL");
  expect(await first.exited).toBe(137);

  await up("--data", data());
  expect(armIn(data())).toEqual(before);
  expect((await client.diskHolds(disk, 100 * mib, 2 * mib)).equals(content)).toBe(true);
  expect((await client.diskHolds(disk, 200 * mib, 512)).equals(more)).toBe(true);
  const { state, disks } = parsed<Run>(await run("backup", "web", "--wait", "--json"));
  expect(state).toBe("succeeded");
  expect(disks.map(({ name, mode, changedBytes }) => [name, mode, changedBytes])).toEqual([
    ["web-os", "incremental", 0],
    ["web-data", "incremental", 2 * mib + 512],
    ["web-log", "incremental", 0],
  ]);
});

test("A local ARM that is killed ends the stack with a word, and one whose stack is killed ends by itself", async () => {
  const first = await up("--data", data());
  process.kill(await armProcess(), "SIGKILL");
  expect(await first.exited).toBe(1);
  expect(first.err()).toContain("farside: The local ARM has ended by itself");
  const second = await up("--data", data());
  const pid = await armProcess();
  second.child.kill("SIGKILL");
  await second.exited;
  await untilGone(pid);
});

test("A port that is taken is named, and nothing is left running", async () => {
  const blocker = createServer().listen(0, "127.0.0.1");
  await once(blocker, "listening");
  const { port } = blocker.address() as AddressInfo;
  const refused = await up("--arm", "--data", join(folder, "other"), "--port", String(port - 1));
  expect(await refused.exited).toBe(1);
  expect(refused.err()).toContain(`farside: The local ARM could not start because port ${port} is in use`);
  expect(readStackFile(join(folder, "other"))).toBeUndefined();
  blocker.close();
});

test("With --ephemeral its folder is gone at the end", async () => {
  const { child, out, exited } = await up("--arm", "--ephemeral");
  const temporary = /data directory: +(\S+)/.exec(out())?.[1] ?? "";
  expect((await stat(join(temporary, "arm", "region.journal"))).isFile()).toBe(true);
  child.kill("SIGINT");
  expect(await exited).toBe(130);
  await expect(stat(temporary)).rejects.toThrow(/ENOENT/);
});
