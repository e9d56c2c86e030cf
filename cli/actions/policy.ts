import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { counted } from "../../shared/core/counted.ts";
import { FarsideError, hasCode } from "../../shared/core/errors.ts";
import { parsePolicyName } from "../../shared/core/ids.ts";
import type { PolicyView } from "../../shared/wire/http/policy.ts";
import { policyViewSchema } from "../../shared/wire/http/policy.ts";
import { Api } from "../api.ts";
import { formatSeconds, formatTime } from "../format.ts";
import type { Verb } from "../verb.ts";

export interface PolicyFlags {
  readonly file?: string;
  readonly schedule?: string;
  readonly timeZone?: string;
  readonly jitter?: number;
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  readonly consistency?: string;
  readonly least?: string;
  readonly rpo?: number;
  readonly retryWindow?: number;
  readonly freezeTtl?: number;
  readonly shutdown?: boolean;
  readonly pauseReplication?: boolean;
  readonly usnRollback?: string;
  readonly instantRestoreDays?: number;
}

const keeps = ["keepLast", "keepHourly", "keepDaily", "keepWeekly", "keepMonthly", "keepYearly"] as const;

export async function setPolicyAction(verb: Verb, nameText: string, flags: PolicyFlags): Promise<void> {
  const name = parsePolicyName(nameText);
  const api = new Api(verb);
  const body = flags.file === undefined ? await changedBody(api, name, flags) : await fileBody(verb, flags);
  const { raw, value, status } = await api.put(`policies/${name}`, body, policyViewSchema);
  if (verb.output.json) verb.output.thing(raw, []);
  else {
    verb.output.line(`${status === 201 ? "Made" : "Changed"} the policy ${name}.`);
    if (value.schedule !== undefined) verb.output.line(`It runs at ${scheduleText(value)}.`);
  }
}

async function fileBody(verb: Verb, { file, ...others }: PolicyFlags): Promise<unknown> {
  if (Object.keys(others).length > 0) {
    throw new FarsideError("bad-input", "--file holds the whole policy: give either it or the other options.");
  }
  const path = resolve(verb.shell.cwd, file ?? "");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new FarsideError("bad-input", `The file ${path} cannot be read: give one that holds a policy as JSON.`, {
      cause,
    });
  }
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? withoutOwnFields(parsed) : parsed;
  } catch (cause) {
    throw new FarsideError(
      "bad-input",
      `The file ${path} is not JSON: write it as "farside policy show NAME --json" does.`,
      {
        cause,
      },
    );
  }
}

/** What is not said stays as it is. */
async function changedBody(api: Api, name: string, flags: PolicyFlags): Promise<unknown> {
  const before = await existing(api, name);
  const kept = Object.fromEntries(keeps.flatMap((keep) => (flags[keep] === undefined ? [] : [[keep, flags[keep]]])));
  const consistency = {
    ...before?.consistency,
    ...(flags.consistency === undefined ? {} : { wanted: flags.consistency }),
    ...(flags.least === undefined ? {} : { least: flags.least }),
  };
  const { schedule: scheduleBefore, ...rest } = before === undefined ? {} : withoutOwnFields(before);
  const schedule = scheduleOf(flags, scheduleBefore);
  return {
    ...rest,
    retention: { ...before?.retention, ...kept },
    consistency,
    ...(flags.rpo === undefined ? {} : { rpoSeconds: flags.rpo }),
    ...(flags.retryWindow === undefined ? {} : { retryWindowSeconds: flags.retryWindow }),
    ...(flags.freezeTtl === undefined ? {} : { freezeTtlSeconds: flags.freezeTtl }),
    ...(flags.shutdown === undefined ? {} : { shutdown: flags.shutdown }),
    ...(flags.pauseReplication === undefined ? {} : { pauseReplication: flags.pauseReplication }),
    ...(flags.usnRollback === undefined ? {} : { usnRollback: flags.usnRollback }),
    ...(flags.instantRestoreDays === undefined ? {} : { instantRestoreDays: flags.instantRestoreDays }),
    ...(schedule === undefined ? {} : { schedule }),
  };
}

function scheduleOf(flags: PolicyFlags, before: PolicyView["schedule"]): Partial<PolicyView["schedule"]> {
  if (flags.schedule === "none") return undefined;
  const cron = flags.schedule ?? before?.cron;
  if (cron === undefined) {
    if (flags.timeZone === undefined && flags.jitter === undefined) return undefined;
    throw new FarsideError("bad-input", "--time-zone and --jitter belong to a schedule: give --schedule too.");
  }
  return {
    ...before,
    cron,
    ...(flags.timeZone === undefined ? {} : { timeZone: flags.timeZone }),
    ...(flags.jitter === undefined ? {} : { jitterSeconds: flags.jitter }),
  };
}

async function existing(api: Api, name: string): Promise<PolicyView | undefined> {
  try {
    return (await api.get(`policies/${name}`, policyViewSchema)).value;
  } catch (error) {
    if (hasCode(error, "not-found")) return undefined;
    throw error;
  }
}

/** What the service adds: `policy show --json` gives it, and `policy set --file` takes it back. */
function withoutOwnFields<T extends object>(policy: T): Omit<T, "name" | "createdAt" | "updatedAt"> {
  const { name: _name, createdAt: _created, updatedAt: _updated, ...rest } = policy as T & Partial<PolicyView>;
  return rest;
}

export async function listPolicies(verb: Verb): Promise<void> {
  const { raw, items } = await new Api(verb).list("policies", policyViewSchema);
  verb.output.list(
    raw,
    items,
    [
      { title: "policy", value: (policy) => policy.name },
      { title: "schedule", value: scheduleText },
      { title: "keeps", value: retentionText },
      { title: "consistency", value: (policy) => policy.consistency.wanted },
      { title: "rpo", value: (policy) => formatSeconds(policy.rpoSeconds) },
    ],
    'There is no policy yet: make one with "farside policy set".',
  );
}

export async function showPolicy(verb: Verb, nameText: string): Promise<void> {
  const name = parsePolicyName(nameText);
  const { raw, value } = await new Api(verb).get(`policies/${name}`, policyViewSchema);
  verb.output.thing(raw, [
    ["policy", value.name],
    ["schedule", scheduleText(value)],
    ["keeps", retentionText(value)],
    ["consistency", `${value.consistency.wanted}, at least ${value.consistency.least}`],
    ["RPO", formatSeconds(value.rpoSeconds)],
    ["retry window", formatSeconds(value.retryWindowSeconds)],
    ["freeze limit", formatSeconds(value.freezeTtlSeconds)],
    ["running VMs", value.shutdown ? "stopped for their snapshots" : "backed up while they run"],
    ["replication", value.pauseReplication ? "paused for the backup" : "left alone"],
    ["USN rollback", value.usnRollback],
    ["snapshots stay for", value.instantRestoreDays === 0 ? undefined : counted(value.instantRestoreDays, "day")],
    ["changed", formatTime(value.updatedAt)],
  ]);
}

export async function removePolicyAction(verb: Verb, nameText: string): Promise<void> {
  const name = parsePolicyName(nameText);
  await new Api(verb).remove(`policies/${name}`);
  verb.output.done({ removed: name }, `Removed the policy ${name}.`);
}

function scheduleText({ schedule }: PolicyView): string {
  if (schedule === undefined) return "on demand";
  const jitter = schedule.jitterSeconds > 0 ? `, spread over ${formatSeconds(schedule.jitterSeconds)}` : "";
  return `${schedule.cron} (${schedule.timeZone}${jitter})`;
}

function retentionText({ retention }: PolicyView): string {
  const kept = keeps.filter((keep) => (retention[keep] ?? 0) > 0);
  return kept.map((keep) => `${retention[keep]} ${keep.slice("keep".length).toLowerCase()}`).join(", ");
}
