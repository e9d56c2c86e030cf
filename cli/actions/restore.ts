import { FarsideError } from "../../shared/core/errors.ts";
import type { ChoiceFlags } from "../choose-point.ts";
import type { Verb } from "../verb.ts";
import { restoreToContainer } from "./restore-to-container.ts";
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
  readonly yes?: true;
  readonly allowDamaged?: true;
  readonly wait?: true;
}

export async function restore(verb: Verb, vm: string, flags: RestoreFlags): Promise<number> {
  const { toFile, toContainer } = flags;
  if ([toFile, toContainer, flags.revert].filter((target) => target !== undefined).length !== 1) {
    throw new FarsideError("bad-input", "Say where to restore to: give either --to-file, --to-container or --revert.");
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

/** What was given and means nothing here is told, not passed over. */
function refuse(owner: string, flags: Readonly<Record<string, unknown>>): void {
  for (const [flag, value] of Object.entries(flags)) {
    if (value !== undefined) throw new FarsideError("bad-input", `${flag} belongs to ${owner}: leave it out.`);
  }
}

const hasSas = (url: string): boolean => URL.canParse(url) && new URL(url).searchParams.has("sig");
