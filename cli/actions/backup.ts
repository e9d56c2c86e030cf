import { parseVmName } from "../../shared/core/ids.ts";
import { runViewSchema } from "../../shared/wire/http/run.ts";
import { Api } from "../api.ts";
import { exitCodeOf, followRun, showRunView } from "../run-view.ts";
import type { Verb } from "../verb.ts";

export async function backup(verb: Verb, vmText: string, options: { readonly wait?: true }): Promise<number> {
  const vm = parseVmName(vmText);
  const api = new Api(verb);
  const asked = await api.post(`vms/${vm}/backups`, {}, runViewSchema);
  const { runId } = asked.value;
  if (options.wait === undefined) {
    verb.output.done(asked.raw, `Backing up ${vm}: run ${runId}. Follow it with "farside run watch ${runId}".`);
    return 0;
  }
  if (verb.output.drawsProgress) verb.output.note(`Backing up ${vm}: run ${runId}.`);
  const { raw, value } = await followRun(verb, api, runId);
  showRunView(verb, raw, value);
  return exitCodeOf(value);
}
