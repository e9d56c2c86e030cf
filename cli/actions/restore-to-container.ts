import type { z } from "zod";
import { parseVmName } from "../../shared/core/ids.ts";
import type { restoreBodySchema } from "../../shared/wire/http/restore.ts";
import { runViewSchema } from "../../shared/wire/http/run.ts";
import { Api } from "../api.ts";
import { restoreChoice } from "../choose-point.ts";
import { exitCodeOf, followRun, showRunView } from "../run-view.ts";
import type { Verb } from "../verb.ts";
import type { RestoreFlags } from "./restore.ts";

/** Page blobs of any account that the service can reach; nothing is replaced without --overwrite. */
export async function restoreToContainer(
  verb: Verb,
  vmText: string,
  url: string,
  flags: RestoreFlags,
): Promise<number> {
  const overwrite = flags.overwrite === undefined ? {} : { overwrite: true };
  return askService(verb, parseVmName(vmText), { kind: "container", url, ...overwrite }, flags);
}

type Target = z.input<typeof restoreBodySchema>["target"];

const doings: Readonly<Record<Target["kind"], (vm: string) => string>> = {
  container: (vm) => `Restoring ${vm}`,
  revert: (vm) => `Reverting ${vm}`,
  "managed-disks": (vm) => `Restoring ${vm} to managed disks`,
  "managed-vm": (vm) => `Restoring ${vm} to a new VM`,
  "swap-disks": (vm) => `Exchanging the disks of ${vm}`,
};

/** It reads the vault and writes the disks, wherever this command line stands. */
export async function askService(verb: Verb, vm: string, target: Target, flags: RestoreFlags): Promise<number> {
  const { point, disks } = restoreChoice(flags);
  const body: z.input<typeof restoreBodySchema> = {
    target,
    ...(point.kind === "at"
      ? { at: point.at }
      : { restorePointId: point.kind === "point" ? point.pointId : point.kind }),
    ...(disks === undefined
      ? {}
      : {
          disks: disks.map(({ name, pointId }) => (pointId === undefined ? name : { name, restorePointId: pointId })),
        }),
    ...(flags.acceptMixedPoints === undefined ? {} : { acceptMixedPoints: true }),
    ...(flags.acceptUsnRollbackRisk === undefined ? {} : { acceptUsnRollbackRisk: true }),
  };
  const api = new Api(verb);
  const asked = await api.post(`vms/${vm}/restores`, body, runViewSchema);
  const { runId } = asked.value;
  const doing = doings[target.kind](vm);
  for (const note of asked.value.notes ?? []) verb.output.note(`Note: ${note}`);
  if (flags.wait === undefined) {
    verb.output.done(asked.raw, `${doing}: run ${runId}. Follow it with "farside run watch ${runId}".`);
    return 0;
  }
  if (verb.output.drawsProgress) verb.output.note(`${doing}: run ${runId}.`);
  const { raw, value } = await followRun(verb, api, runId);
  showRunView(verb, raw, value);
  return exitCodeOf(value);
}
