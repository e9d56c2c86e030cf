import { sasContainerTarget } from "../../shared/compose/disk-image.ts";
import { systemClock } from "../../shared/compose/system.ts";
import { FarsideError, hasCode } from "../../shared/core/errors.ts";
import { chooseRestore } from "../../shared/operations/restore/choose-restore.ts";
import { restoreDisks } from "../../shared/operations/restore/restore-disks.ts";
import { restoreIdOf } from "../../shared/operations/restore/restore-id.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import { restoreChoice } from "../choose-point.ts";
import { Progress } from "../progress.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";
import { tellRestored } from "./restore-report.ts";
import type { RestoreFlags } from "./restore.ts";

/**
 * From the vault alone into a container that nobody has configured: the SAS in its URL is all the access there is. It stays in this
 * process (invariant I8): everything that is told or stored is without it.
 */
export async function restoreToSas(verb: Verb, vm: string, sasUrl: string, flags: RestoreFlags): Promise<number> {
  const choice = restoreChoice(flags);
  const { target, containerUrl, expiresAt } = await sasContainerTarget(sasUrl);
  const hasExpired = (): boolean => expiresAt !== undefined && Date.parse(expiresAt) <= systemClock().now();
  if (hasExpired()) throw expired(containerUrl, expiresAt, "Nothing was written");
  return withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const chosen = await chooseRestore(vault, vmId, choice, verb.signal);
    const { manifest, disks } = chosen;
    const total = disks.reduce((sum, { disk }) => sum + disk.sizeBytes, 0);
    const progress = new Progress(verb.output, `${manifest.vmName} ${manifest.pointId}`, total);
    try {
      const restored = await restoreDisks(
        vault,
        target,
        {
          disks,
          urlOf: (disk) => target.locate(containerUrl, disk),
          restoreId: restoreIdOf,
          allowDamaged: flags.allowDamaged === true,
          onProgress: (_disk, bytes) => progress.add(bytes),
        },
        verb.signal,
      );
      progress.end();
      return tellRestored(verb, chosen, restored, "url");
    } catch (error) {
      progress.end();
      if (hasCode(error, "forbidden") && hasExpired()) {
        throw expired(containerUrl, expiresAt, "What was restored so far is kept");
      }
      if (!hasCode(error, "target-exists", "not-found", "refused", "bad-input", "vault-corrupt")) {
        verb.output.note(`What was restored so far is kept: the same command goes on where it stood.`);
      }
      throw error;
    }
  });
}

function expired(containerUrl: string, expiresAt: string | undefined, soFar: string): FarsideError {
  return new FarsideError(
    "forbidden",
    `The SAS of ${containerUrl} has expired at ${expiresAt ?? "an unknown time"}. ${soFar}: the same command with a new SAS goes on where it stood.`,
    { details: { url: containerUrl, expiresAt } },
  );
}
