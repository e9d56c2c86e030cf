/** Which disks of a VM of Azure are backed up: left out by rule or by tag, through the whole pipeline over the local ARM. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { asList, asObject, propertiesOf } from "../../../local/arm/resources.ts";
import { parseDiskRule } from "../../../shared/core/disk-selection.ts";
import { parsePolicyName, parseVmName } from "../../../shared/core/ids.ts";
import type { BackupRun } from "../../../shared/core/run.ts";
import { listWhole } from "../../../shared/operations/manage/list-whole.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { readManifest } from "../../../shared/operations/vault/list-restore-points.ts";
import { readConfiguration } from "../../../shared/operations/vault/read-configuration.ts";
import { parseExcludedDisks } from "../../../shared/wire/vault/excluded-disks.ts";
import { addPolicy } from "../../support/add-policy.ts";
import { startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { useVaultRegion } from "../../support/vault-region.ts";

const mib = 1024 ** 2;
const never = new AbortController().signal;
const name = parseVmName("web");

const newVault = useVaultRegion();

let region: ManagedRegion;
let pipeline: RealPipeline;
let vm: ManagedVm;

beforeEach(async () => {
  const now = () => (pipeline === undefined ? Date.now() : pipeline.context.clock.now());
  region = await startManagedRegion({ now });
  pipeline = await createRealPipeline({
    accounts: [],
    ...newVault(),
    armUrl: region.server.url,
  });
  vm = await region.addVm("web", 3);
  for (const disk of [0, 1, 2]) await vm.write(disk, 0, randomBytes(mib));
  await addPolicy(pipeline.context, "daily", { consistency: { wanted: "application", least: "crash" } });
});
afterEach(() => region.stop());

async function protect(rules: { readonly include?: readonly string[]; readonly exclude?: readonly string[] } = {}) {
  const [include, exclude] = [rules.include?.map(parseDiskRule), rules.exclude?.map(parseDiskRule)];
  const disks = { ...(include === undefined ? {} : { include }), ...(exclude === undefined ? {} : { exclude }) };
  const source = { kind: "managed", resourceId: vm.resourceId, disks } as const;
  return protectVm(pipeline.context, { name, policy: parsePolicyName("daily"), source }, never);
}

function tagDisk(disk: number, tags: Readonly<Record<string, string>>): void {
  const { resources } = region.server.arm;
  const found = resources.require(vm.diskIds[disk] ?? "");
  resources.put({ ...found, body: { ...found.body, tags } });
}

function succeeded(run: BackupRun) {
  if (run.state === "succeeded") return run;
  throw new Error(`The run ${run.state}: ${"error" in run ? `${run.error.code} ${run.error.message}` : ""}`);
}

async function backup() {
  const run = succeeded(await pipeline.backup(name));
  const found = await readManifest(pipeline.vault, run.vmId, run.restorePointId, never);
  if (found.kind !== "standing") throw new Error("There is no restore point.");
  const configuration = await readConfiguration(pipeline.vault, found.manifest, never);
  const events = await listWhole(pipeline.context.catalog.runEvents, { runId: run.runId }, never);
  return {
    disks: run.disks.map((disk) => [disk.name, disk.mode]),
    excluded: parseExcludedDisks(configuration),
    captured: asList(configuration["disks"]).map((disk) => disk["name"]),
    events,
  };
}

describe("A disk that is left out", () => {
  test("is in no restore point of the platform, is told with the point, and the configuration still has it", async () => {
    const { warnings } = await protect({ exclude: ["lun:0", "lun:7"] });
    expect(warnings).toEqual([expect.stringContaining('"lun:7"')]);
    const before = region.requests.length;
    const { disks, excluded, captured, events } = await backup();
    expect(disks).toEqual([
      ["web-0", "full"],
      ["web-2", "full"],
    ]);
    expect(excluded).toEqual([{ id: vm.diskIds[1], name: "web-1", role: "data", lun: 0, reason: "excluded by lun:0" }]);
    expect(captured).toEqual(["web-0", "web-1", "web-2"]);
    expect(events.find((event) => event.name === "disks-left-out")?.message).toContain("web-1 (excluded by lun:0)");
    expect(events.find((event) => event.name === "disk-rule-idle")?.message).toContain("lun:7");
    const kept = region.server.arm.resources.all().filter((one) => one.type.endsWith("/diskRestorePoints"));
    expect(kept.map((one) => propertiesOf(one)["sourceResourceId"])).toEqual([vm.diskIds[0], vm.diskIds[2]]);
    expect(region.requests.slice(before).filter((one) => one.includes("beginGetAccess"))).toHaveLength(2);
  });

  test("may be the OS disk", async () => {
    await protect({ include: ["web-1", "web-2"] });
    const { disks, excluded } = await backup();
    expect(disks.map(([disk]) => disk)).toEqual(["web-1", "web-2"]);
    expect(excluded).toMatchObject([{ name: "web-0", role: "os", reason: "not among the included (web-1, web-2)" }]);
  });

  test("by its tag needs no rule, and taken in later it is copied in full, the others by what changed", async () => {
    tagDisk(2, { "farside-exclude": "true" });
    await protect();
    expect(await backup()).toMatchObject({
      disks: [
        ["web-0", "full"],
        ["web-1", "full"],
      ],
    });
    tagDisk(2, { "farside-exclude": "false" });
    expect(await backup()).toMatchObject({
      disks: [
        ["web-0", "incremental"],
        ["web-1", "incremental"],
        ["web-2", "full"],
      ],
      excluded: [],
    });
    tagDisk(1, { "farside-exclude": "true" });
    expect(await backup()).toMatchObject({
      disks: [
        ["web-0", "incremental"],
        ["web-2", "incremental"],
      ],
    });
    // Its last request began a deletion, which ends with the next one.
    region.server.arm.operations.settle(region.server.arm.now());
    const left = region.server.arm.resources.all().filter((one) => one.type.endsWith("/restorePoints"));
    expect(left).toHaveLength(1);
  });

  test("keeps no VM from being backed up by what it is: shared, or not to be read", async () => {
    const { arm } = region.server;
    arm.resources.change(vm.diskIds[1] ?? "", { maxShares: 2 });
    await expect(protect()).rejects.toMatchObject({ code: "not-supported", message: expect.stringContaining("web-1") });
    await protect({ exclude: ["web-1"] });
    expect((await backup()).disks.map(([disk]) => disk)).toEqual(["web-0", "web-2"]);
    const storageProfile = asObject(propertiesOf(arm.resources.require(vm.resourceId))["storageProfile"]);
    const osDisk = { ...asObject(storageProfile["osDisk"]), diffDiskSettings: { option: "Local" } };
    arm.resources.change(vm.resourceId, { storageProfile: { ...storageProfile, osDisk } });
    await protect({ exclude: ["web-0", "web-1"] });
    expect((await backup()).disks).toEqual([["web-2", "incremental"]]);
  });

  test("must leave one", async () => {
    await expect(protect({ exclude: ["web-*"] })).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringMatching(/No disk of the VM web is left .*web-0 is excluded by web-\*/),
    });
    await protect();
    for (const disk of [0, 1, 2]) tagDisk(disk, { "farside-exclude": "true" });
    expect(await pipeline.backup(name)).toMatchObject({ state: "failed", error: { code: "bad-input" } });
  });
});
