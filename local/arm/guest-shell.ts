/**
 * What Run Command does inside a VM of this region: the few lines of shell that write to its data disks. Everything else is refused as a
 * shell refuses it, so that nothing is taken for done.
 *
 *   D=$(ls … /dev/disk/azure/…/lun5 …)                                      the disk at a LUN
 *   dd if=/dev/urandom of=$D bs=4096 seek=2 count=1 conv=notrunc,fsync      writes there
 *   for i in $(seq 0 9); do dd … seek=$((i * 16)) …; done                   many times
 */
import { randomBytes } from "node:crypto";
import type { Arm } from "./arm.ts";
import { asList, asObject, asText, propertiesOf, type Json, type Resource } from "./resources.ts";

export interface ShellOutput {
  readonly stdout: string;
  readonly stderr: string;
}

const assignment = /^D=\$\(.*\/(?:by-lun\/|lun)(\d+).*\)$/;
const loop = /^for i in \$\(seq (\d+) (\d+)\); do (dd .*); done$/;
const units: Readonly<Record<string, number>> = { "": 1, k: 1024, K: 1024, M: 1024 ** 2 };

export async function runInGuest(arm: Arm, vm: Resource, script: readonly string[]): Promise<ShellOutput> {
  let disk: Resource | undefined;
  for (const line of script.flatMap((text) => text.split("\n")).map((text) => text.trim())) {
    if (line === "" || line.startsWith("#") || line === "set -e" || line === "sync") continue;
    const lun = assignment.exec(line)?.[1];
    if (lun !== undefined) {
      disk = diskAt(arm, vm, Number(lun));
      if (disk === undefined) return failed(`no disk at LUN ${lun}`);
      continue;
    }
    const [, from = "0", to = "0", command = line] = loop.exec(line) ?? [];
    if (!command.startsWith("dd ")) return failed(`${line}: command not found`);
    if (disk === undefined) return failed("D: unbound variable");
    for (let i = Number(from); i <= Number(to); i++) {
      const wrong = await dd(arm, disk, command, i);
      if (wrong !== undefined) return failed(wrong);
    }
  }
  return { stdout: "", stderr: "" };
}

function diskAt(arm: Arm, vm: Resource, lun: number): Resource | undefined {
  const disks = asList(asObject(propertiesOf(vm)["storageProfile"])["dataDisks"]);
  const found: Json | undefined = disks.find((disk) => disk["lun"] === lun);
  return arm.resources.get(asText(asObject(found?.["managedDisk"])["id"]) ?? "");
}

/** Undefined where it worked. */
async function dd(arm: Arm, disk: Resource, command: string, i: number): Promise<string | undefined> {
  const argument = (name: string): string | undefined =>
    new RegExp(`\\b${name}=(\\$\\(\\(.*?\\)\\)|\\S+)`).exec(command)?.[1];
  const blockBytes = sizeOf(argument("bs") ?? "512");
  const seek = argument("seek") ?? "0";
  const factor = /^\$\(\(i ?\* ?(\d+)\)\)$/.exec(seek)?.[1];
  const at = factor === undefined ? Number(seek) : i * Number(factor);
  const length = blockBytes * Number(argument("count"));
  const source = argument("if");
  if (argument("of") !== "$D" || !Number.isInteger(length + at) || disk.bytes === undefined) return `dd: ${command}`;
  if (source !== "/dev/urandom" && source !== "/dev/zero") return `dd: failed to open '${source ?? ""}'`;
  const pieceBytes = 4 * 1024 ** 2;
  for (let from = 0; from < length; from += pieceBytes) {
    const piece = Math.min(pieceBytes, length - from);
    const content = source === "/dev/zero" ? Buffer.alloc(piece) : randomBytes(piece);
    await arm.store.write(disk.bytes, at * blockBytes + from, content);
  }
  return undefined;
}

function sizeOf(text: string): number {
  const [, digits = "", unit = ""] = /^(\d+)([kKM]?)$/.exec(text) ?? [];
  return digits === "" ? Number.NaN : Number(digits) * (units[unit] ?? Number.NaN);
}

function failed(stderr: string): ShellOutput {
  return { stdout: "", stderr };
}
