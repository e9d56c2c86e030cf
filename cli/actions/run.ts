import { parseRunId, parseVmName } from "../../shared/core/ids.ts";
import type { RunView } from "../../shared/wire/http/run.ts";
import { runViewSchema } from "../../shared/wire/http/run.ts";
import { Api } from "../api.ts";
import { formatTime } from "../format.ts";
import { exitCodeOf, followRun, showRunView } from "../run-view.ts";
import type { Verb } from "../verb.ts";

export async function listRunsAction(
  verb: Verb,
  options: { readonly vm?: string; readonly state?: string; readonly limit: number },
): Promise<void> {
  const query = { vm: options.vm === undefined ? undefined : parseVmName(options.vm), state: options.state };
  const { raw, items } = await new Api(verb).list("runs", runViewSchema, query, Math.max(1, options.limit));
  verb.output.list(
    raw,
    items,
    [
      { title: "run", value: (run) => run.runId },
      { title: "kind", value: (run) => run.kind },
      { title: "vm", value: (run) => run.vm },
      { title: "state", value: stateText },
      { title: "trigger", value: (run) => run.trigger ?? "-" },
      { title: "created", value: (run) => formatTime(run.createdAt) },
      { title: "finished", value: (run) => formatTime(run.finishedAt) },
      { title: "restore point", value: (run) => run.restorePointId ?? "-" },
    ],
    "There is no such run.",
  );
}

function stateText(run: RunView): string {
  if (run.error !== undefined) return `${run.state} (${run.error.code})`;
  return run.waiting === undefined ? run.state : `${run.state} (${run.waiting.condition})`;
}

export async function showRun(verb: Verb, id: string): Promise<void> {
  const { raw, value } = await new Api(verb).get(`runs/${parseRunId(id)}`, runViewSchema);
  showRunView(verb, raw, value);
}

export async function cancel(verb: Verb, id: string): Promise<void> {
  const { raw, value } = await new Api(verb).post(`runs/${parseRunId(id)}/cancel`, {}, runViewSchema);
  const ended = value.finishedAt !== undefined;
  const still =
    value.down === undefined
      ? ""
      : " Its VM is being started again, and goes on being tried: cancel the run once more to give that up, five minutes after its end.";
  verb.output.done(
    raw,
    ended
      ? `The run ${value.runId} has ended: ${value.state}.${still}`
      : `Asked the run ${value.runId} to stop; its next step does it.`,
  );
}

export async function watch(verb: Verb, id: string): Promise<number> {
  const { raw, value } = await followRun(verb, new Api(verb), parseRunId(id));
  showRunView(verb, raw, value);
  return exitCodeOf(value);
}
