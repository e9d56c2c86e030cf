/** The tables are lost whole, and made anew from the vault: on the real stack, with what works before and after. */
import { TableServiceClient } from "@azure/data-tables";
import { randomBytes } from "node:crypto";
import { open, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BlobServiceClient } from "@azure/storage-blob";
import { parsed, startStackShell, type StackShell } from "../../support/stack-shell.ts";

interface Run {
  readonly runId: string;
  readonly state: string;
  readonly restorePointId: string;
  readonly disks: readonly { readonly name: string; readonly mode: string; readonly newChunks: number }[];
}

interface Rebuilt {
  readonly policies: readonly string[];
  readonly vms: readonly string[];
  readonly restorePoints: number;
  readonly unchanged: number;
  readonly differing: readonly unknown[];
  readonly notes: readonly unknown[];
}

const mib = 1024 * 1024;
let shell: StackShell;
const run: StackShell["run"] = (...args) => shell.run(...args);

beforeAll(async () => {
  shell = await startStackShell();
});
afterAll(() => shell?.stop());

async function loseTables(): Promise<number> {
  const connection = shell.stack.source.connectionString("farsidesource");
  const service = TableServiceClient.fromConnectionString(connection, { allowInsecureConnection: true });
  let tables = 0;
  for await (const { name } of service.listTables()) {
    if (name === undefined) continue;
    await service.deleteTable(name);
    tables++;
  }
  return tables;
}

describe("A service whose tables are lost", () => {
  const image = (): string => join(shell.folder, "os.raw");
  let first: Run;

  test("has its rows again after a rebuild, which makes nothing twice and overwrites nothing", async () => {
    await writeFile(image(), randomBytes(2 * mib));
    await truncate(image(), 8 * mib);
    const { url } = parsed<{ url: string }>(await run(["disk", "import", image(), "web1-os", "--json"]));
    await run(["policy", "set", "daily", "--schedule", "0 3 * * *", "--keep-daily", "14", "--rpo", "26h"]);
    await run(["vm", "protect", "web1", "--policy", "daily", "--disk", `os=${url}`]);
    first = parsed<Run>(await run(["backup", "web1", "--wait", "--json"]));
    const before = {
      policy: parsed<unknown>(await run(["policy", "show", "daily", "--json"])),
      vm: parsed<unknown>(await run(["vm", "show", "web1", "--json"])),
    };
    const untouched = parsed<Rebuilt>(await run(["vault", "rebuild", "--json"]));
    expect(untouched).toEqual({ policies: [], vms: [], restorePoints: 0, unchanged: 3, differing: [], notes: [] });

    expect(await loseTables()).toBeGreaterThan(5);
    expect((await run(["vm", "show", "web1"])).exitCode).toBe(3);
    const people = await run(["vault", "rebuild"]);
    expect(people).toMatchObject({ exitCode: 0, err: "" });
    expect(people.out).toBe(
      "Made the policy daily.\nMade the VM web1.\nMade 1 restore point, 1 VM, policies: 1. 0 rows stood already.\n",
    );
    expect(parsed<unknown>(await run(["policy", "show", "daily", "--json"]))).toEqual(before.policy);
    expect(parsed<unknown>(await run(["vm", "show", "web1", "--json"]))).toEqual(before.vm);
    expect(parsed<Rebuilt>(await run(["vault", "rebuild", "--json"])).unchanged).toBe(3);
    expect((await run(["status"])).out).toMatch(/^web1 +daily +ok /m);
  });

  test("backs up incrementally, and restores what it backed up", async () => {
    const changed = randomBytes(512);
    const [, , container, blob] = (
      parsed<{ source: { disks: { url: string }[] } }>(await run(["vm", "show", "web1", "--json"])).source.disks[0]
        ?.url ?? ""
    )
      .replace(/^https?:\/\//, "")
      .split("/");
    const source = BlobServiceClient.fromConnectionString(shell.stack.source.connectionString("farsidesource"));
    await source
      .getContainerClient(container ?? "")
      .getPageBlobClient(blob ?? "")
      .uploadPages(changed, 4 * mib, changed.length);
    const file = await open(image(), "r+");
    await file.write(changed, 0, changed.length, 4 * mib);
    await file.close();
    const second = parsed<Run>(await run(["backup", "web1", "--wait", "--json"]));
    expect(second.disks).toMatchObject([{ name: "os", mode: "incremental", newChunks: 1 }]);
    const folder = join(shell.folder, "restored");
    expect((await run(["restore", "web1", "--to-file", folder])).exitCode).toBe(0);
    expect((await readFile(join(folder, "os.raw"))).equals(await readFile(image()))).toBe(true);
  });

  test("tells what differs, and leaves it", async () => {
    await run(["policy", "set", "daily", "--schedule", "0 4 * * *", "--keep-daily", "7", "--rpo", "26h"]);
    const told = parsed<Rebuilt>(await run(["vault", "rebuild", "--json"]));
    expect(told.differing).toEqual([{ kind: "policy", name: "daily" }]);
    expect((await run(["policy", "show", "daily"])).out).toContain("0 4 * * *");
  });

  test("shows and exports the configuration that a restore point captured", async () => {
    const shown = parsed<Record<string, unknown>>(
      await run(["point", "show", "web1", first.restorePointId, "--configuration"]),
    );
    expect(shown).toMatchObject({
      kind: "page-blob",
      disks: [{ name: "os", sizeBytes: 8 * mib }],
      protection: { formatVersion: 1, vm: { name: "web1", policy: "daily" }, policy: { name: "daily" } },
    });
    const file = join(shell.folder, "web1.json");
    const command = ["point", "show", "web1", first.restorePointId, "--configuration", "--output", file];
    expect((await run(command)).exitCode).toBe(0);
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual(shown);
    expect((await run(command)).exitCode).toBe(4);
    const { apiUrl, apiKey } = shell.stack;
    const answer = await fetch(`${apiUrl}/api/vms/web1/restore-points/${first.restorePointId}/configuration`, {
      headers: { "x-functions-key": apiKey },
    });
    expect(await answer.json()).toEqual(shown);
  });
});
