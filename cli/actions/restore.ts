import { FarsideError } from "../../shared/core/errors.ts";
import { parseVmName } from "../../shared/core/ids.ts";
import type { ChoiceFlags } from "../choose-point.ts";
import type { Verb } from "../verb.ts";
import { machineTargetOf } from "./machine-target.ts";
import { refuse } from "./refuse-flags.ts";
import { askService, restoreToContainer } from "./restore-to-container.ts";
import { restoreToFiles } from "./restore-to-files.ts";
import { restoreToOutput } from "./restore-to-output.ts";
import { restoreToSas } from "./restore-to-sas.ts";
import { revert } from "./revert.ts";

export interface RestoreFlags extends ChoiceFlags {
  readonly toFile?: string;
  readonly format?: "raw" | "vhd";
  readonly overwrite?: true;
  readonly toContainer?: string;
  readonly revert?: true;
  readonly toManagedDisks?: string;
  readonly toVm?: string;
  readonly swapDisks?: true;
  readonly resourceGroup?: string;
  readonly location?: string;
  readonly size?: string;
  readonly subnet?: string;
  readonly nsg?: string;
  readonly zone?: string;
  readonly sku?: string;
  readonly encryptionSet?: string;
  readonly namePrefix?: string;
  readonly keepAddresses?: true;
  readonly leaveStopped?: true;
  readonly stop?: true;
  readonly yes?: true;
  readonly allowDamaged?: true;
  readonly wait?: true;
}

export async function restore(verb: Verb, vm: string, flags: RestoreFlags): Promise<number> {
  const { toFile, toContainer } = flags;
  const targets = [toFile, toContainer, flags.revert, flags.toManagedDisks, flags.toVm, flags.swapDisks];
  if (targets.filter((target) => target !== undefined).length !== 1) {
    throw new FarsideError(
      "bad-input",
      "Say where to restore to: give one of --to-file, --to-container, --revert, --to-managed-disks, --to-vm or --swap-disks.",
    );
  }
  const machine = machineTargetOf(flags);
  if (machine !== undefined) {
    refuse("--to-file", { "--format": flags.format });
    refuse("--to-file and --to-container", { "--overwrite": flags.overwrite });
    refuse("restores that this command does itself", { "--allow-damaged": flags.allowDamaged });
    refuse("--revert", { "--yes": flags.yes });
    return askService(verb, parseVmName(vm), machine, flags);
  }
  if (flags.revert !== undefined) {
    refuse("--to-file", { "--format": flags.format, "--allow-damaged": flags.allowDamaged });
    refuse("--to-file and --to-container", { "--overwrite": flags.overwrite });
    return revert(verb, vm, flags);
  }
  refuse("--revert", { "--yes": flags.yes });
  if (toContainer !== undefined) {
    refuse("--to-file", { "--format": flags.format });
    if (hasSas(toContainer)) {
      refuse("a container without a SAS", { "--wait": flags.wait, "--overwrite": flags.overwrite });
      return restoreToSas(verb, vm, toContainer, flags);
    }
    refuse("restores that this command does itself", { "--allow-damaged": flags.allowDamaged });
    return restoreToContainer(verb, vm, toContainer, flags);
  }
  refuse("--to-container", { "--wait": flags.wait });
  if (toFile !== "-") return restoreToFiles(verb, vm, toFile ?? "", flags);
  refuse("files", { "--overwrite": flags.overwrite });
  return restoreToOutput(verb, vm, flags);
}

const hasSas = (url: string): boolean => URL.canParse(url) && new URL(url).searchParams.has("sig");
