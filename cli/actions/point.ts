import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { FarsideError, hasCode } from "../../shared/core/errors.ts";
import { restorePointOf } from "../../shared/core/restore-point.ts";
import type { Defect } from "../../shared/core/vault/corrupt.ts";
import type { Manifest } from "../../shared/core/vault/manifest.ts";
import { choosePoint } from "../../shared/operations/restore/choose-point.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import type { RestorePoint } from "../../shared/operations/vault/list-restore-points.ts";
import { readRestorePoints } from "../../shared/operations/vault/list-restore-points.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { readConfiguration } from "../../shared/operations/vault/read-configuration.ts";
import type { RestorePointView } from "../../shared/wire/http/restore-point.ts";
import { restorePointView } from "../../shared/wire/http/restore-point.ts";
import { parseExcludedDisks, type ExcludedDisk } from "../../shared/wire/vault/excluded-disks.ts";
import { pointChoice } from "../choose-point.ts";
import { formatBytes, formatTime } from "../format.ts";
import { consistencyText } from "../run-view.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";

/** `state`: `standing` counts; the others are shown so that nobody wonders where they went. */
type Listed =
  | (RestorePointView & { readonly state: "standing" | "void" | "expired" })
  | { readonly restorePointId: string; readonly vmId: string; readonly state: "corrupt"; readonly defect: Defect };

export async function listPoints(verb: Verb, vm: string): Promise<void> {
  await withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const listed: Listed[] = [];
    for await (const point of readRestorePoints(vault, vmId, verb.signal)) listed.unshift(listedOf(point));
    verb.output.list(
      listed,
      listed,
      [
        { title: "restore point", value: (point) => point.restorePointId },
        { title: "snapshot", value: (point) => ("snapshotAt" in point ? formatTime(point.snapshotAt) : "-") },
        { title: "consistency", value: (point) => ("consistency" in point ? (point.consistency ?? "-") : "-") },
        {
          title: "disks",
          value: (point) => ("disks" in point ? point.disks.map((disk) => disk.name).join(", ") : "-"),
        },
        { title: "size", value: (point) => sum(point, "sizeBytes"), align: "right" },
        { title: "stored", value: (point) => sum(point, "storedBytes"), align: "right" },
        { title: "trigger", value: (point) => ("trigger" in point ? point.trigger : "-") },
        { title: "state", value: stateText },
      ],
      `The VM ${vm} has no restore point.`,
    );
  });
}

function stateText(point: Listed): string {
  if (point.state === "corrupt") return `CORRUPT: ${point.defect.reason}`;
  return point.usnRollbackRisk === true ? `${point.state}, USN ROLLBACK RISK` : point.state;
}

function sum(point: Listed, field: "sizeBytes" | "storedBytes"): string {
  return "disks" in point ? formatBytes(point.disks.reduce((total, disk) => total + disk[field], 0)) : "-";
}

function listedOf(point: RestorePoint): Listed {
  if (point.kind === "corrupt") {
    return { restorePointId: point.pointId, vmId: point.vmId, state: "corrupt", defect: point.defect };
  }
  const expired = point.tombstonedAt !== undefined;
  return { ...viewOf(point.manifest), state: point.kind === "void" ? "void" : expired ? "expired" : "standing" };
}

export async function showPoint(
  verb: Verb,
  vm: string,
  id: string,
  options: { readonly configuration?: true; readonly output?: string },
): Promise<void> {
  if (options.configuration === true) return showConfiguration(verb, vm, id, options.output);
  if (options.output !== undefined) {
    throw new FarsideError("bad-input", "--output belongs to --configuration: give both.");
  }
  await withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const manifest = await choosePoint(vault, vmId, pointChoice({ point: id }), verb.signal);
    const view = viewOf(manifest);
    const excludedDisks = await excludedFrom(vault, manifest, verb.signal);
    verb.output.thing(excludedDisks.length === 0 ? view : { ...view, excludedDisks }, [
      ["restore point", view.restorePointId],
      ["VM", view.vm],
      ["id in the vault", view.vmId],
      ["snapshot", formatTime(view.snapshotAt)],
      ["committed", formatTime(view.committedAt)],
      ["consistency", consistencyText(view)],
      [
        "USN rollback",
        view.usnRollbackRisk === true
          ? `at risk${view.safetyNote === undefined ? "" : `: ${view.safetyNote}`}`
          : undefined,
      ],
      ["trigger", view.trigger],
      ["policy", view.policy],
      ["run", view.runId],
      ["before it", view.parentRestorePointId],
    ]);
    verb.output.table(view.disks, [
      { title: "disk", value: (disk) => disk.name },
      { title: "role", value: (disk) => disk.role },
      { title: "size", value: (disk) => formatBytes(disk.sizeBytes), align: "right" },
      { title: "mode", value: (disk) => disk.mode },
      { title: "changed", value: (disk) => formatBytes(disk.changedBytes), align: "right" },
      { title: "new chunks", value: (disk) => String(disk.newChunks), align: "right" },
      { title: "stored", value: (disk) => formatBytes(disk.storedBytes), align: "right" },
    ]);
    if (excludedDisks.length === 0) return;
    verb.output.line("Disks that the VM had and this restore point has not:");
    verb.output.table(excludedDisks, [
      { title: "disk", value: (disk) => disk.name },
      { title: "role", value: (disk) => disk.role },
      { title: "lun", value: (disk) => (disk.lun === undefined ? "-" : String(disk.lun)) },
      { title: "reason", value: (disk) => disk.reason },
    ]);
  });
}

/** A damaged configuration is for `verify` to tell of: what the point holds is shown all the same. */
async function excludedFrom(
  vault: OpenVault,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<readonly ExcludedDisk[]> {
  if (manifest.source.kind !== "managed") return [];
  try {
    return parseExcludedDisks(await readConfiguration(vault, manifest, signal));
  } catch (error) {
    if (hasCode(error, "vault-corrupt")) return [];
    throw error;
  }
}

/** One document, for people too: it is what a program or an engineer makes the VM anew from. */
async function showConfiguration(verb: Verb, vm: string, id: string, output: string | undefined): Promise<void> {
  await withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const manifest = await choosePoint(vault, vmId, pointChoice({ point: id }), verb.signal);
    const configuration = await readConfiguration(vault, manifest, verb.signal);
    const text = `${JSON.stringify(configuration, undefined, 2)}\n`;
    if (output === undefined) {
      verb.shell.out(text);
      return;
    }
    const file = resolve(verb.shell.cwd, output);
    await writeNew(file, text);
    const { pointId } = manifest;
    verb.output.done(
      { file, vmId, restorePointId: pointId },
      `Wrote the configuration captured in ${pointId}: ${file}`,
    );
  });
}

async function writeNew(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { flag: "wx" });
  } catch (cause) {
    if (!(cause instanceof Error) || !("code" in cause) || cause.code !== "EEXIST") throw cause;
    const message = `${file} exists already and is not overwritten: remove it, or give another name.`;
    throw new FarsideError("target-exists", message, { cause, details: { file } });
  }
}

function viewOf(manifest: Manifest): RestorePointView {
  return restorePointView(restorePointOf(manifest));
}
