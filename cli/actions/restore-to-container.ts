import { FarsideError } from "../../shared/core/errors.ts";
import { parseVmName } from "../../shared/core/ids.ts";
import { runViewSchema } from "../../shared/wire/http/run.ts";
import { Api } from "../api.ts";
import { restoreChoice } from "../choose-point.ts";
import { exitCodeOf, followRun, showRunView } from "../run-view.ts";
import type { Verb } from "../verb.ts";
import type { RestoreFlags } from "./restore.ts";

/** Asks the service: it reads the vault and writes the page blobs, wherever this command line stands. */
export async function restoreToContainer(
  verb: Verb,
  vmText: string,
  url: string,
  flags: RestoreFlags,
): Promise<number> {
  const vm = parseVmName(vmText);
  const { point, disks } = restoreChoice(flags);
  if (disks?.some((disk) => disk.pointId !== undefined) === true) {
    throw new FarsideError(
      "bad-input",
      "--disk NAME@POINT belongs to --to-file: leave the point out, or give --point.",
    );
  }
  const body = {
    target: { kind: "container", url },
    ...(point.kind === "at"
      ? { at: point.at }
      : { restorePointId: point.kind === "point" ? point.pointId : point.kind }),
    ...(disks === undefined ? {} : { disks: disks.map((disk) => disk.name) }),
    ...(flags.acceptUsnRollbackRisk === undefined ? {} : { acceptUsnRollbackRisk: true }),
  };
  const api = new Api(verb);
  const asked = await api.post(`vms/${vm}/restores`, body, runViewSchema);
  const { runId } = asked.value;
  if (flags.wait === undefined) {
    verb.output.done(asked.raw, `Restoring ${vm}: run ${runId}. Follow it with "farside run watch ${runId}".`);
    return 0;
  }
  if (verb.output.drawsProgress) verb.output.note(`Restoring ${vm}: run ${runId}.`);
  const { raw, value } = await followRun(verb, api, runId);
  showRunView(verb, raw, value);
  return exitCodeOf(value);
}
