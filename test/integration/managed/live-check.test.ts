/** The live check from end to end against the local region: every question is asked, and a difference that is planted is told. */
import { spawn } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Finding } from "../../../infra/live-check/check.ts";
import { checks } from "../../../infra/live-check/checks.ts";
import { liveCheck } from "../../../infra/live-check/live-check.ts";
import { report } from "../../../infra/live-check/report.ts";
import { Stage } from "../../../infra/live-check/stage.ts";
import { ServiceError } from "../../../local/arm/service-error.ts";
import { armOpener } from "../../../shared/compose/arm.ts";
import { BlobVaultStore } from "../../../shared/adapters/azure/blob-vault-store.ts";
import { openContainer } from "../../../shared/adapters/azure/storage-clients.ts";
import { systemClock } from "../../../shared/compose/system.ts";
import type { VaultStore } from "../../../shared/ports/vault-store.ts";
import { enforceRoles } from "../../support/data-roles.ts";
import { startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";

import { everything, readCondition, readRole } from "../../support/roles.ts";
import { startStorageProxy, throughProxy } from "../../support/storage-proxy.ts";
import { startTestAzurite } from "../../support/test-azurite.ts";

const never = new AbortController().signal;

let region: ManagedRegion;
let vm: ManagedVm;
let laterMs: number;
beforeEach(async () => {
  laterMs = 0;
  region = await startManagedRegion({ now: () => Date.now() + laterMs });
  vm = await region.addVm("web", 1, { securityType: "TrustedLaunch" });
});
afterEach(() => region.stop());

async function ask(names: readonly string[], more: { readonly vault?: VaultStore; readonly prefix?: string } = {}) {
  const arm = await armOpener({ kind: "local", url: region.server.url }, systemClock())();
  const told: string[] = [];
  const tell = (line: string): void => void told.push(line);
  const stage = new Stage({ arm, vmId: vm.resourceId, prefix: "farside-check-1", tell, ...more });
  const asked = checks.filter(({ name }) => names.length === 0 || names.includes(name));
  const result = await liveCheck(stage, asked, { keep: false, tell, againAfterMs: 1 }, never);
  return { ...result, told };
}

/** By name. */
function verdicts(findings: readonly Finding[]): Readonly<Record<string, string>> {
  return Object.fromEntries(findings.map(({ check, verdict }) => [check, verdict]));
}

function nothingIsLeft(): void {
  const { resources, grants } = region.server.arm;
  expect(resources.all().filter(({ id }) => id.includes("farside-check"))).toEqual([]);
  for (const { id } of resources.all()) expect(grants.of(id)).toBeUndefined();
  const profile = JSON.stringify(resources.require(vm.resourceId).body);
  expect(profile).not.toContain("farside-check");
}

describe("The live check", () => {
  test("asks every question, finds the local region as it is assumed to be, and leaves nothing behind", async () => {
    const { findings, left, told } = await ask([]);
    expect(verdicts(findings)).toEqual({
      "restore-point-diff": "as assumed",
      "snapshot-and-point": "answered",
      pages: "as assumed",
      footer: "as assumed",
      "read-throughput": "answered",
      "repeated-access": "as assumed",
      "end-without-access": "as assumed",
      "error-codes": "as assumed",
      "sectors-4k": "as assumed",
      "guest-state": "as assumed",
      "prepared-secure": "as assumed",
      "upload-bounds": "as assumed",
      "vault-condition": "could not be tried",
      "point-while-deleting": "as assumed",
    });
    expect(left).toEqual([]);
    nothingIsLeft();
    const shown = report(findings) + told.join("\n") + JSON.stringify(findings);
    expect(shown).toMatch(
      /^restore-point-diff +as assumed +10101 ranges in 2 answers: nothing that was written is missing/m,
    );
    expect(shown).not.toContain("sig=");
  });

  test("tells what differs: points that are not compared, access that is given back in vain, a list that is refused", async () => {
    const { faults } = region.server.arm;
    faults.beforeData = async (request) => {
      if (request.headers["x-ms-previous-snapshot-url"] === undefined) return;
      throw new ServiceError(400, "UnsupportedHeaderForNonManagedDisksAccount", "No.");
    };
    const refused = new ServiceError(409, "AccessIsNotActive", "There is no access.");
    const one = await ask(["restore-point-diff", "pages", "footer"]);
    expect(verdicts(one.findings)).toEqual({ "restore-point-diff": "differs", pages: "differs", footer: "as assumed" });
    expect(report(one.findings)).toContain("refused: 400 UnsupportedHeaderForNonManagedDisksAccount");
    expect(report(one.findings)).toContain("managed-disk-source.ts");
    // Three application-consistent restore points of a VM can be made in an hour.
    laterMs = 3_600_000;
    faults.planRequest(/^POST .*endGetAccess$/, refused, 2);
    const two = await ask(["end-without-access"]);
    expect(two.findings).toMatchObject([
      { verdict: "differs", found: expect.stringContaining("409 AccessIsNotActive") },
    ]);
  });

  test("finds a single write that is missing in the list", async () => {
    const { store } = region.server.arm;
    const real = store.changed.bind(store);
    Object.assign(store, { changed: (...asked: Parameters<typeof real>) => real(...asked)?.toSpliced(5000, 1) });
    const { findings } = await ask(["restore-point-diff"]);
    expect(findings).toMatchObject([
      { verdict: "differs", found: expect.stringContaining("1 of 10101 writes are missing") },
    ]);
  });

  test("tries a vault writer's roles on a container: as they are, and with one that may delete everything", async () => {
    const azurite = await startTestAzurite("vaultacct");
    const proxy = await startStorageProxy(azurite.azurite.blobUrl);
    try {
      const roles = enforceRoles(proxy, "blob");
      roles.assign({ role: everything });
      const connectionString = throughProxy(azurite.connectionString, proxy);
      const container = await openContainer({ kind: "connection-string", connectionString, container: "vault" });
      const vault = new BlobVaultStore(container);
      await vault.createContainer(never);
      const writers = ["vault-writer", "vault-work-remover"].map((name) => ({
        role: readRole(name),
        condition: readCondition(name),
      }));
      roles.assign(...writers);
      const { findings } = await ask(["vault-condition"], { vault });
      expect(findings).toMatchObject([
        { verdict: "as assumed", found: expect.stringContaining("all as it should be") },
      ]);
      roles.assign(...writers.map(({ role }) => ({ role })));
      const open = await ask(["vault-condition"], { vault, prefix: "farside-check-2" });
      expect(open.findings).toMatchObject([
        { verdict: "differs", found: "overwriting is allowed, refreshing is allowed, deleting is allowed" },
      ]);
    } finally {
      await proxy.close();
      await azurite.azurite.stop();
    }
  });

  test("says why a question could not be asked, goes on to the next, and names what it could not remove", async () => {
    const { faults } = region.server.arm;
    faults.planRequest(/^PUT .*restorePoints\/one$/, new ServiceError(429, "TooManyRequests", "Too many."));
    faults.planRequest(
      /^DELETE .*disks\/farside-check-1-data$/,
      new ServiceError(409, "ScopeLocked", "It is locked."),
      2,
    );
    const { findings, left } = await ask(["footer", "upload-bounds"]);
    expect(findings).toMatchObject([
      { verdict: "could not be tried", found: expect.stringContaining("Too many") },
      { verdict: "as assumed" },
    ]);
    expect(left).toEqual([expect.stringContaining("the disk farside-check-1-data: ")]);
  });
});

describe("The program", () => {
  function start(...args: readonly string[]) {
    const env = { ...process.env, FARSIDE_LOCAL_ARM: region.server.url };
    const child = spawn(process.execPath, ["infra/live-check/main.ts", ...args], { env });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (piece: Buffer) => void (stdout += piece.toString()));
    child.stderr.on("data", (piece: Buffer) => void (stderr += piece.toString()));
    const ended = new Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>(
      (resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })),
    );
    return { child, ended, seen: () => stderr };
  }

  test("says what it would make, and makes nothing without --yes", async () => {
    region.requests.length = 0;
    const { code, stderr } = await start("--vm", vm.resourceId).ended;
    expect([code, stderr]).toEqual([2, expect.stringContaining("USD")]);
    expect(region.requests).toEqual([]);
  });

  test("prints a table, or JSON", async () => {
    const { code, stdout } = await start("--vm", vm.resourceId, "--yes", "--only", "upload-bounds").ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^upload-bounds +as assumed +20 MiB and the footer: taken/m);
    const json = await start("--vm", vm.resourceId, "--yes", "--json", "--only", "upload-bounds").ended;
    expect(JSON.parse(json.stdout)).toMatchObject([{ check: "upload-bounds", verdict: "as assumed" }]);
    nothingIsLeft();
  });

  test("removes what it made when it is interrupted", async () => {
    const { child, ended, seen } = start("--vm", vm.resourceId, "--yes");
    await expect.poll(seen, { timeout: 30_000 }).toContain("making the restore point one");
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    expect([code, stderr]).toEqual([130, expect.stringContaining("interrupted")]);
    nothingIsLeft();
  });
});
