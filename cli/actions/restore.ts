import { FarsideError } from "../../shared/core/errors.ts";
import type { ChoiceFlags } from "../choose-point.ts";
import type { Verb } from "../verb.ts";
import { restoreToContainer } from "./restore-to-container.ts";
import { restoreToFiles } from "./restore-to-files.ts";
import { revert } from "./revert.ts";

export interface RestoreFlags extends ChoiceFlags {
  readonly toFile?: string;
  readonly format?: "raw" | "vhd";
  readonly toContainer?: string;
  readonly overwrite?: true;
  readonly revert?: true;
  readonly yes?: true;
  readonly wait?: true;
}

export async function restore(verb: Verb, vm: string, flags: RestoreFlags): Promise<number> {
  const { toFile, toContainer } = flags;
  if ([toFile, toContainer, flags.revert].filter((target) => target !== undefined).length !== 1) {
    throw new FarsideError("bad-input", "Say where to restore to: give either --to-file, --to-container or --revert.");
  }
  if (flags.revert !== undefined) {
    if (flags.format !== undefined) throw new FarsideError("bad-input", "--format belongs to --to-file: leave it out.");
    if (flags.overwrite !== undefined) {
      throw new FarsideError("bad-input", "--overwrite belongs to --to-container: leave it out.");
    }
    return revert(verb, vm, flags);
  }
  if (flags.yes !== undefined) throw new FarsideError("bad-input", "--yes belongs to --revert: leave it out.");
  if (toContainer !== undefined) {
    if (flags.format !== undefined) throw new FarsideError("bad-input", "--format belongs to --to-file: leave it out.");
    return restoreToContainer(verb, vm, toContainer, flags);
  }
  if (flags.overwrite !== undefined) {
    throw new FarsideError("bad-input", "--overwrite belongs to --to-container: leave it out.");
  }
  if (flags.wait !== undefined) throw new FarsideError("bad-input", "--wait belongs to --to-container: leave it out.");
  await restoreToFiles(verb, vm, toFile ?? "", flags);
  return 0;
}
