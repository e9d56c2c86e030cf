/** Runs as people see them, and waiting for one. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorCodes, hasCode } from "../shared/core/errors.ts";
import type { ErrorCode } from "../shared/core/errors.ts";
import type { RunView } from "../shared/wire/http/run.ts";
import { runViewSchema } from "../shared/wire/http/run.ts";
import type { Answer, Api } from "./api.ts";
import { formatBytes, formatTime } from "./format.ts";
import type { Verb } from "./verb.ts";

const firstPauseMs = 300;
const longestPauseMs = 3000;

/** Until the run has ended. Tells each event of its history once, on standard error. */
export async function followRun(verb: Verb, api: Api, runId: string): Promise<Answer<RunView>> {
  const { output, signal } = verb;
  let told = 0;
  let unanswered = 0;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 1.3)) {
    let answer: Answer<RunView> | undefined;
    try {
      answer = await api.get(`runs/${runId}`, runViewSchema);
      unanswered = 0;
    } catch (error) {
      // The service may restart while its run goes on: the wait outlives that.
      if (!hasCode(error, "unavailable", "throttled") || ++unanswered > 10) throw error;
    }
    if (answer !== undefined) {
      const events = answer.value.events ?? [];
      if (output.drawsProgress || verb.verbose) {
        for (const event of events.slice(told)) output.note(`${formatTime(event.at)}  ${event.message}`);
      }
      told = events.length;
      if (answer.value.finishedAt !== undefined) return answer;
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** 0 only for success; a failed run gives the exit code of its reason. */
export function exitCodeOf(run: RunView): number {
  if (run.state === "succeeded") return 0;
  const code = run.error?.code ?? "internal";
  return code in errorCodes ? errorCodes[code as ErrorCode].exitCode : 1;
}

export function showRunView(verb: Verb, raw: unknown, run: RunView): void {
  const { output } = verb;
  output.thing(raw, [
    ["run", run.runId],
    ["kind", run.kind],
    ["VM", run.vm],
    ["state", run.state],
    ["why", run.error === undefined ? undefined : `${run.error.message} (${run.error.code})`],
    ["waiting", run.waiting === undefined ? undefined : `${run.waiting.condition}, tried ${run.waiting.tries} times`],
    ["stopped VM", run.down === undefined ? undefined : downText(run.down)],
    ["trigger", run.trigger],
    ["policy", run.policy],
    ["slot", run.slot === undefined ? undefined : formatTime(run.slot)],
    ["consistency", consistencyText(run)],
    ["restore point", run.restorePointId],
    ["target", targetText(run.target)],
    [
      "progress",
      run.progress === undefined ? undefined : `${run.progress.windowsDone} of ${run.progress.windows} windows`,
    ],
    ["created", formatTime(run.createdAt)],
    ["started", run.startedAt === undefined ? undefined : formatTime(run.startedAt)],
    ["finished", run.finishedAt === undefined ? undefined : formatTime(run.finishedAt)],
    ["cancel asked", run.cancelRequestedAt === undefined ? undefined : formatTime(run.cancelRequestedAt)],
  ]);
  if (run.disks.length > 0) output.table(run.disks, run.kind === "backup" ? backupColumns : restoreColumns);
  if (run.safety !== undefined) showSafety(verb, run.safety);
  if (run.made !== undefined && run.made.length > 0) {
    output.table(run.made, [
      { title: madeTitle(run), value: (one) => one.kind },
      { title: "resource", value: (one) => one.id },
    ]);
  }
  for (const note of run.notes ?? []) output.line(`Note: ${note}`);
  if (run.events !== undefined && run.events.length > 0) {
    output.table(run.events, [
      { title: "at", value: (event) => formatTime(event.at) },
      { title: "event", value: (event) => event.name },
      { title: "what", value: (event) => event.message },
    ]);
  }
}

/** What a run that did not succeed had made is taken back. */
function madeTitle({ state, finishedAt }: RunView): string {
  if (state === "succeeded") return "made";
  return finishedAt === undefined ? "made so far" : "had made";
}

function targetText(target: RunView["target"]): string | undefined {
  if (target === undefined) return undefined;
  switch (target.kind) {
    case "container":
      return target.url;
    case "revert":
      return "the VM's own disks";
    case "managed-disks":
      return `managed disks in ${target.resourceGroup} (${target.location})`;
    case "managed-vm":
      return `a new VM ${target.name} in ${target.resourceGroup}`;
    case "swap-disks":
      return "in exchange for the VM's disks";
    default:
      return target.kind satisfies never;
  }
}

/** What the disks held before a revert, and how to go back to it. */
function showSafety({ output }: Verb, safety: NonNullable<RunView["safety"]>): void {
  output.table(safety, [
    { title: "disk", value: (one) => one.disk },
    { title: "safety snapshot (kept until you remove it)", value: (one) => one.snapshot },
  ]);
  output.line("To go back to the state before this revert, with the VM stopped:");
  for (const { wayBack } of safety) output.line(`  ${wayBack}`);
}

/** The achieved consistency in words, with the skew where it means something. */
export function consistencyText(facts: {
  readonly consistency?: string | undefined;
  readonly consistencyRequested?: string | undefined;
  readonly consistencyNote?: string | undefined;
  readonly skewMs?: number | undefined;
}): string | undefined {
  const { consistency, consistencyRequested, consistencyNote, skewMs } = facts;
  if (consistency === undefined)
    return consistencyRequested === undefined ? undefined : `wanted: ${consistencyRequested}`;
  const wanted =
    consistencyRequested === undefined || consistencyRequested === consistency
      ? ""
      : `, wanted ${consistencyRequested}`;
  const skew = skewMs === undefined ? "" : `, snapshots ${Math.round(skewMs)} ms apart`;
  return `${consistency}${wanted}${skew}${consistencyNote === undefined ? "" : ` (${consistencyNote})`}`;
}

type Disk = RunView["disks"][number];
const bytes = (value: number | undefined): string => (value === undefined ? "-" : formatBytes(value));

const backupColumns = [
  { title: "disk", value: (disk: Disk) => disk.name },
  { title: "size", value: (disk: Disk) => bytes(disk.sizeBytes), align: "right" },
  { title: "mode", value: (disk: Disk) => disk.mode ?? "-" },
  { title: "changed", value: (disk: Disk) => bytes(disk.changedBytes), align: "right" },
  { title: "read", value: (disk: Disk) => bytes(disk.readBytes), align: "right" },
  { title: "new chunks", value: (disk: Disk) => String(disk.newChunks ?? "-"), align: "right" },
  { title: "new", value: (disk: Disk) => bytes(disk.newBytes), align: "right" },
  { title: "stored", value: (disk: Disk) => bytes(disk.storedBytes), align: "right" },
] as const;

const restoreColumns = [
  { title: "disk", value: (disk: Disk) => disk.name },
  { title: "size", value: (disk: Disk) => bytes(disk.sizeBytes), align: "right" },
  { title: "restored", value: (disk: Disk) => bytes(disk.restoredBytes), align: "right" },
  { title: "written", value: (disk: Disk) => bytes(disk.writtenBytes), align: "right" },
  { title: "url", value: (disk: Disk) => disk.url ?? "-" },
] as const;

/** Asked to start in any case; what is known is only that nobody has seen it run again yet. */
function downText({ since, failedStarts }: NonNullable<RunView["down"]>): string {
  const failed = failedStarts === 0 ? "" : `; it did not start ${failedStarts} times`;
  return `since ${formatTime(since)}, not seen running again yet${failed}`;
}
