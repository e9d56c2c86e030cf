import { counted } from "../../shared/core/counted.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import type { AffectedDisk, Finding, VerifyReport } from "../../shared/operations/vault/findings.ts";
import { isWhole } from "../../shared/operations/vault/findings.ts";
import type { VerifyOptions } from "../../shared/operations/vault/verify-vault.ts";
import { verifyVault } from "../../shared/operations/vault/verify-vault.ts";
import { verifyVm } from "../../shared/operations/vault/verify-vm.ts";
import { formatBytes } from "../format.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";

const corruptExitCode = 5;
const rangesTold = 5;

export async function verify(
  verb: Verb,
  vm: string | undefined,
  flags: { readonly all?: true; readonly readData?: true; readonly sample?: number },
): Promise<number> {
  if ((vm === undefined) === (flags.all === undefined)) {
    throw new FarsideError("bad-input", "Say what to verify: either a VM or --all.");
  }
  if (flags.sample !== undefined && flags.readData === undefined) {
    throw new FarsideError("bad-input", "--sample belongs to --read-data: give both.");
  }
  const reading =
    flags.readData === undefined
      ? {}
      : flags.sample === undefined
        ? { readData: true }
        : { samplePercent: flags.sample };
  const options = { ...reading, onProgress: progressOf(verb) };
  const report = await withVault(verb, async (vault) =>
    vm === undefined
      ? verifyVault(vault, options, verb.signal)
      : verifyVm(vault, await findVm(vault, vm, verb.signal), options, verb.signal),
  );
  if (verb.output.drawsProgress) verb.output.draw("\r\u001b[K");
  tell(verb, report);
  return isWhole(report) ? 0 : corruptExitCode;
}

const redrawMs = 200;

/** How much there is in all is known only at the end: what was found so far has to do. */
function progressOf(verb: Verb): NonNullable<VerifyOptions["onProgress"]> {
  let drawnAt = 0;
  return ({ chunks, readBytes }) => {
    const now = performance.now();
    if (!verb.output.drawsProgress || now - drawnAt < redrawMs) return;
    drawnAt = now;
    verb.output.draw(`\r\u001b[K${chunks} chunks found, ${formatBytes(readBytes)} read`);
  };
}

function tell(verb: Verb, report: VerifyReport): void {
  const { output } = verb;
  if (output.json) {
    output.thing({ whole: isWhole(report), ...report }, []);
    return;
  }
  for (const finding of report.findings) output.line(findingText(finding));
  if (report.untold > 0) output.line(`… and ${report.untold} more damaged objects.`);
  const { restorePoints, disks, chunks, readChunks, readBytes } = report.checked;
  const read = readChunks > 0 ? `, ${readChunks} of them read (${formatBytes(readBytes)})` : "";
  const verdict = isWhole(report) ? "Everything is there" : "SOMETHING IS LOST";
  output.line(
    `${verdict}: ${counted(restorePoints, "restore point")}, ${counted(disks, "disk")}, ${counted(chunks, "chunk")}${read}.`,
  );
}

function findingText(finding: Finding): string {
  const places = finding.affected.map(placeText).join("; ");
  return `${finding.severity}: ${finding.code} ${finding.object}: ${finding.message}${places === "" ? "" : ` Affects ${places}.`}`;
}

function placeText({ vmId, pointId, disk, ranges }: AffectedDisk): string {
  if (disk === undefined) return `${vmId} ${pointId}`;
  const told = ranges.slice(0, rangesTold).map(({ fromByte, toByte }) => `bytes ${fromByte} to ${toByte - 1}`);
  const more = ranges.length > rangesTold ? ` and ${ranges.length - rangesTold} more ranges` : "";
  return `${vmId} ${pointId} disk ${disk} ${told.join(", ")}${more}`;
}
