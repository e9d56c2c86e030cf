import type { VmName } from "../../core/ids.ts";
import type { Run, RunKind, RunState } from "../../core/run.ts";
import type { Context } from "../context.ts";
import type { PageInput, PageOf } from "./list-page.ts";
import { listPage } from "./list-page.ts";

export interface ListRunsInput extends PageInput {
  readonly vm?: VmName | undefined;
  readonly state?: RunState | undefined;
  readonly kind?: RunKind | undefined;
}

/** Newest first. */
export function listRuns(context: Context, input: ListRunsInput, signal: AbortSignal): Promise<PageOf<Run>> {
  const where = {
    ...(input.vm === undefined ? {} : { vm: input.vm }),
    ...(input.state === undefined ? {} : { state: input.state }),
    ...(input.kind === undefined ? {} : { kind: input.kind }),
  };
  return listPage(context.catalog.runs, where, input, signal);
}
