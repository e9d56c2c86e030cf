import { FarsideError } from "../../shared/core/errors.ts";
import { parseVmName, quote } from "../../shared/core/ids.ts";
import type { Verb } from "../verb.ts";
import { askService } from "./restore-to-container.ts";
import type { RestoreFlags } from "./restore.ts";

/** Writes into the VM's own disks: asked for twice, on a terminal by a question, elsewhere by --yes. */
export async function revert(verb: Verb, vmText: string, flags: RestoreFlags): Promise<number> {
  const vm = parseVmName(vmText);
  if (flags.yes === undefined) await confirm(verb, vm);
  return askService(verb, vm, { kind: "revert" }, flags);
}

async function confirm(verb: Verb, vm: string): Promise<void> {
  const what = `This writes into the disks of ${quote(vm)} itself, which goes back to the restore point. Its present state is kept in safety snapshots.`;
  const { ask } = verb.shell;
  if (ask === undefined || verb.output.json) {
    throw new FarsideError("refused", `${what} Nobody can be asked here: give --yes to do it.`, { details: { vm } });
  }
  verb.output.note(what);
  const answer = await ask(`Type the VM's name to go on: `);
  if (answer.trim() === vm) return;
  throw new FarsideError("refused", `Nothing was changed: ${quote(answer.trim())} is not ${quote(vm)}.`, {
    details: { vm },
  });
}
