import type { VmStatusView } from "../../shared/wire/http/status.ts";
import { statusSchema } from "../../shared/wire/http/status.ts";
import { Api } from "../api.ts";
import { discoveryLines } from "./discover.ts";
import { formatSeconds, formatTime } from "../format.ts";
import type { Verb } from "../verb.ts";

const words = { ok: "ok", late: "LATE", none: "NOT YET" } as const;

export async function status(verb: Verb): Promise<void> {
  const { raw, value } = await new Api(verb).get("status", statusSchema);
  if (verb.output.json) {
    verb.output.thing(raw, []);
    return;
  }
  for (const line of discoveryLines(value.discovery)) verb.output.warning(line);
  if (value.vms.length === 0) {
    verb.output.line('No VM is protected yet: protect one with "farside vm protect".');
    return;
  }
  verb.output.table(value.vms, [
    { title: "vm", value: (vm) => vm.vm },
    { title: "policy", value: (vm) => vm.policy },
    { title: "protection", value: (vm) => words[vm.protection] },
    { title: "last restore point", value: (vm) => formatTime(vm.lastRestorePointAt) },
    { title: "age", value: (vm) => formatSeconds(vm.ageSeconds), align: "right" },
    { title: "rpo", value: (vm) => formatSeconds(vm.rpoSeconds), align: "right" },
    { title: "next backup", value: (vm) => formatTime(vm.nextBackupAt) },
    { title: "now", value: nowText },
  ]);
  const { vms, late, none, running } = value.summary;
  verb.output.line(`${vms} protected, ${late} late, ${none} without a restore point, ${running} running.`);
}

function nowText({ activeRun, lastRun, down }: VmStatusView): string {
  if (down !== undefined && down.failedStarts > 0) {
    return `DOWN since ${formatTime(down.since)}: it did not start ${down.failedStarts} times (${down.runId})`;
  }
  if (activeRun !== undefined) return `${activeRun.state} (${activeRun.runId})`;
  if (lastRun?.state === "failed") return `last run failed: ${lastRun.error?.code ?? "?"} (${lastRun.runId})`;
  return "-";
}
