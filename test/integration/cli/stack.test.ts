/** The local stack as a process: started, found, refused twice, killed, started again. */
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { runningStack } from "../../../local/stack/running-stack.ts";
import { readStackFile, type StackFile } from "../../../local/stack/stack-file.ts";
import { farside } from "../../support/cli/farside.ts";
import { parsed } from "../../support/stack-shell.ts";
import { startUp, type Up } from "../../support/up-process.ts";

let folder: string;
const children: Up[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-stack-"));
});
afterEach(async () => {
  for (const { child, exited } of children.splice(0)) {
    child.kill("SIGINT");
    await exited;
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function up(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Up> {
  const started = await startUp(folder, args, environment);
  children.push(started);
  return started;
}

function stackIn(name: string): StackFile {
  const stack = readStackFile(join(folder, name));
  if (stack === undefined) throw new Error("There is no stack.json.");
  return stack;
}

describe("farside up", () => {
  test("makes a data directory that the other verbs find, keeps its secrets from others, and ends at Ctrl-C", async () => {
    const { child, out, exited } = await up([]);
    const data = join(folder, "farside-data");
    expect(out()).toMatch(/Its passphrase was generated and is kept in \S+farside-data\/passphrase/);
    expect(out()).toContain("farside disk import");
    for (const file of ["stack.json", "passphrase", "farside.log"]) {
      expect((await stat(join(data, file))).mode & 0o777).toBe(0o600);
    }
    // From the folder above it, from inside it, and from below it.
    for (const cwd of [folder, data, join(data, "vault-region")]) {
      expect(parsed<unknown[]>(await farside(["policy", "list", "--json"], { cwd }))).toEqual([]);
    }
    const elsewhere = await farside(["policy", "list", "--json", "--data", data], { cwd: "/" });
    expect(elsewhere.exitCode).toBe(0);
    const shown = parsed<{ encryption: string }>(await farside(["vault", "show", "--json"], { cwd: data }));
    expect(shown.encryption).toBe("aes-256-gcm");

    child.kill("SIGINT");
    expect(await exited).toBe(130);
    expect(await runningStack(data)).toBeUndefined();
    expect(stackIn("farside-data")).not.toHaveProperty("process");
  });

  test("started again has the same addresses, keys, vault and rows", async () => {
    const before = stackIn("farside-data");
    await up([]);
    const after = stackIn("farside-data");
    const lasting = ({ apiUrl, apiKey, regions, vault }: StackFile) => ({ apiUrl, apiKey, regions, vault });
    expect(lasting(after)).toEqual(lasting(before));
    const cwd = join(folder, "farside-data");
    parsed(await farside(["policy", "set", "kept", "--keep-last", "1", "--json"], { cwd }));
  });

  test("refuses a second one on the same folder and names the first", async () => {
    const { child } = await up([]);
    const second = await up([]);
    expect(await second.exited).toBe(4);
    expect(second.err()).toMatch(new RegExp(`farside: A "farside up" runs on \\S+ already \\(process ${child.pid}\\)`));
    const cwd = join(folder, "farside-data");
    expect(parsed<unknown[]>(await farside(["policy", "list", "--json"], { cwd }))).toHaveLength(1);
  });

  test("that was killed stands in nobody's way, and leaves nothing running", async () => {
    const { child, exited } = await up([]);
    const cwd = join(folder, "farside-data");
    child.kill("SIGKILL");
    expect(await exited).toBe(137);
    expect(stackIn("farside-data").process?.pid).toBe(child.pid);
    expect(await runningStack(cwd)).toBeUndefined();
    await up([]);
    expect(parsed<unknown[]>(await farside(["policy", "list", "--json"], { cwd }))).toHaveLength(1);
  });

  test("takes a passphrase from the environment, does not keep it, and asks for the same one later", async () => {
    const environment = { FARSIDE_PASSPHRASE: "correct horse battery staple" };
    const first = await up(["--data", "given"], environment);
    expect(await readdir(join(folder, "given"))).not.toContain("passphrase");
    expect(await readFile(join(folder, "given/stack.json"), "utf8")).not.toContain("correct horse");
    const cwd = join(folder, "given");
    expect((await farside(["vault", "show"], { cwd })).exitCode).toBe(4);
    expect((await farside(["vault", "show"], { cwd, environment })).exitCode).toBe(0);
    const asked = await farside(["vault", "show"], {
      cwd,
      askSecret: () => Promise.resolve("correct horse battery staple"),
    });
    expect(asked.exitCode).toBe(0);
    first.child.kill("SIGINT");
    await first.exited;

    const without = await up(["--data", "given"]);
    expect(await without.exited).toBe(4);
    expect(without.err()).toMatch(/farside: The vault in \S+ was made with a passphrase that is not kept there/);
    const wrong = await up(["--data", "given"], { FARSIDE_PASSPHRASE: "another horse battery staple" });
    expect(await wrong.exited).toBe(4);
    expect(wrong.err()).toMatch(/farside: The passphrase opens none of/);
  });

  test("on a port that is taken says so", async () => {
    const first = await up([]);
    const { port } = new URL(stackIn("farside-data").apiUrl);
    const second = await up(["--data", "other", "--port", port]);
    expect(await second.exited).toBe(1);
    expect(second.err()).toMatch(new RegExp(`farside: [^\\n]*${port}`));
    expect(first.child.exitCode).toBeNull();
  });

  test("of one use leaves no folder behind", async () => {
    const { child, out, exited } = await up(["--ephemeral"]);
    const data = /data directory: +(\S+)/.exec(out())?.[1] ?? "";
    expect((await stat(data)).isDirectory()).toBe(true);
    child.kill("SIGINT");
    expect(await exited).toBe(130);
    await expect(stat(data)).rejects.toThrow(/ENOENT/);
  });

  test("on a folder that cannot be made says so", async () => {
    await writeFile(join(folder, "file"), "");
    const refused = await up(["--data", "file/below"]);
    expect(await refused.exited).toBe(2);
    expect(refused.err()).toMatch(/farside: The data directory \S+ cannot be made/);
  });
});

describe("A vault of a stack that does not run", () => {
  test("is read all the same: its storage runs for the time of the verb", async () => {
    const cwd = join(folder, "farside-data");
    const shown = await farside(["vault", "show", "--json"], { cwd });
    expect(shown.err).toContain("starting its vault's storage for this command alone");
    expect(parsed<{ vms: string[] }>(shown).vms).toEqual([]);
    expect((await farside(["status"], { cwd })).err).toContain('start the local stack with "farside up"');
  });
});
