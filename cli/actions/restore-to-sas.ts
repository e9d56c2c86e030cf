import { sasContainerTarget } from "../../shared/compose/disk-image.ts";
import { systemClock } from "../../shared/compose/system.ts";
import { FarsideError, hasCode } from "../../shared/core/errors.ts";
import { chooseRestore } from "../../shared/operations/restore/choose-restore.ts";
import { restoreIdOf } from "../../shared/operations/restore/restore-id.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import { restoreChoice } from "../choose-point.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";
import { restoreChosen, type RestorePlace } from "./restore-chosen.ts";
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
    const endedItself = (error: unknown): boolean => hasCode(error, "forbidden") && hasExpired();
    const place: RestorePlace = {
      target,
      urlOf: (disk) => target.locate(containerUrl, disk),
      restoreId: restoreIdOf,
      shownAs: "url",
      kept: (error) => (endedItself(error) ? undefined : "What was restored so far is kept"),
      endedBy: ["target-exists", "not-found", "refused", "bad-input", "vault-corrupt"],
    };
    try {
      return await restoreChosen(verb, vault, chosen, place, flags);
    } catch (error) {
      if (!endedItself(error)) throw error;
      throw expired(containerUrl, expiresAt, "What was restored so far is kept");
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
