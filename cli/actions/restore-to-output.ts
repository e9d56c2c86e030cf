import { createHash } from "node:crypto";
import { FarsideError } from "../../shared/core/errors.ts";
import { epochMs } from "../../shared/core/timestamp.ts";
import { buildVhdFooter } from "../../shared/core/vhd.ts";
import type { ChosenDisk } from "../../shared/operations/restore/choose-restore.ts";
import { chooseRestore } from "../../shared/operations/restore/choose-restore.ts";
import { addDamage, lostBytes, type DamagedRange } from "../../shared/operations/restore/damage.ts";
import { restoreIdOf } from "../../shared/operations/restore/restore-id.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { readDisk } from "../../shared/operations/vault/read-disk.ts";
import { restoreChoice } from "../choose-point.ts";
import { Progress } from "../progress.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";
import { damagedExitCode, tellDamage } from "./restore-report.ts";
import type { RestoreFlags } from "./restore.ts";

const chunksAhead = 16;
const zeros = new Uint8Array(1024 * 1024);

type WriteBytes = (bytes: Uint8Array) => Promise<void>;

/** One disk, whole, and nothing else on standard output. It cannot go on where it stood: what was written is the reader's. */
export async function restoreToOutput(verb: Verb, vm: string, flags: RestoreFlags): Promise<number> {
  const { outIsTerminal, write } = verb.shell;
  if (verb.output.json) {
    throw new FarsideError("bad-input", "--json has no place where a disk goes to standard output: leave it out.");
  }
  if (outIsTerminal) {
    throw new FarsideError("bad-input", "Standard output is a terminal: send it to a file or a program.");
  }
  const choice = restoreChoice(flags);
  return withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const { manifest, disks } = await chooseRestore(vault, vmId, choice, verb.signal);
    const [only, ...others] = disks;
    if (only === undefined || others.length > 0) {
      const known = disks.map(({ disk }) => disk.name);
      throw new FarsideError(
        "bad-input",
        `Standard output takes one disk, and these are ${disks.length}: choose one with --disk (${known.join(", ")}).`,
        { details: { disks: known } },
      );
    }
    const progress = new Progress(verb.output, `${manifest.vmName} ${manifest.pointId}`, only.disk.sizeBytes);
    const damaged: DamagedRange[] = [];
    try {
      await writeDisk(verb, vault, only, { damaged, allowDamaged: flags.allowDamaged === true, progress }, write);
      if (flags.format === "vhd") await write(footerOf(only));
    } finally {
      progress.end();
    }
    tellDamage(verb, only.disk.name, damaged);
    return damaged.length > 0 ? damagedExitCode : 0;
  });
}

async function writeDisk(
  verb: Verb,
  vault: OpenVault,
  chosen: ChosenDisk,
  report: { readonly damaged: DamagedRange[]; readonly allowDamaged: boolean; readonly progress: Progress },
  write: WriteBytes,
): Promise<void> {
  const { disk } = chosen;
  const pieces = readDisk(vault, disk, { parallelism: chunksAhead, damaged: "zero" }, verb.signal);
  for await (const piece of pieces) {
    if (piece.kind === "data") await write(piece.content);
    else {
      if (piece.damage !== undefined) {
        if (!report.allowDamaged) throw lostBytes(piece.damage, chosen, piece);
        addDamage(report.damaged, piece, piece.damage);
      }
      for (let left = piece.length; left > 0; left -= zeros.length) {
        verb.signal.throwIfAborted();
        await write(zeros.subarray(0, Math.min(left, zeros.length)));
      }
    }
    report.progress.add(piece.length);
  }
  const odd = disk.sizeBytes % 512;
  if (odd > 0) await write(zeros.subarray(0, 512 - odd));
}

/** The same as a file's: of what is restored alone. */
function footerOf({ manifest, disk }: ChosenDisk): Uint8Array {
  const id = restoreIdOf({ manifest, disk }, "vhd");
  return buildVhdFooter({
    sizeBytes: Math.ceil(disk.sizeBytes / 512) * 512,
    createdAtMs: epochMs(manifest.snapshotAt),
    uniqueId: createHash("sha256").update(`${id}/${disk.name}`).digest().subarray(0, 16),
  });
}
