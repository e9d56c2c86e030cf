import { counted } from "../../shared/core/counted.ts";
import { errorCodes } from "../../shared/core/errors.ts";
import { isProblem } from "../../shared/core/discovery-finding.ts";
import { discoveryViewSchema, type DiscoveryReportView, type DiscoveryView } from "../../shared/wire/http/discovery.ts";
import { Api } from "../api.ts";
import { formatTime } from "../format.ts";
import type { Verb } from "../verb.ts";

export interface DiscoverFlags {
  readonly dryRun?: true;
  readonly acceptRemovals?: true;
}

/** Exit code 4 where VMs would lose their protection and a person has to confirm it, 1 where a scope or a VM failed. */
export async function discover(verb: Verb, flags: DiscoverFlags): Promise<number> {
  const body = { dryRun: flags.dryRun === true, acceptRemovals: flags.acceptRemovals === true };
  const { raw, value } = await new Api(verb).post("discovery", body, discoveryViewSchema);
  if (verb.output.json) verb.output.thing(raw, []);
  else show(verb, value);
  return exitCodeOf(value);
}

function show(verb: Verb, { dryRun, tag, scopes, findings, findingsInAll, unchanged, left }: DiscoveryView): void {
  if (findings.length > 0) {
    verb.output.table(findings, [
      { title: dryRun ? "would be" : "outcome", value: (finding) => finding.action },
      { title: "vm", value: (finding) => finding.vm ?? nameOf(finding.resourceId) },
      { title: "policy", value: (finding) => finding.policy ?? "-" },
      { title: "why", value: (finding) => finding.note ?? "-" },
    ]);
  }
  if (findingsInAll > findings.length) verb.output.line(`… and ${findingsInAll - findings.length} more.`);
  for (const { scope, error } of scopes) {
    if (error !== undefined) verb.output.warning(`${scope}: ${error.message} None of its VMs was unprotected.`);
  }
  const vms = scopes.reduce((sum, scope) => sum + scope.vms, 0);
  const tagged = scopes.reduce((sum, scope) => sum + scope.tagged, 0);
  verb.output.line(
    `${counted(vms, "VM")} in ${counted(scopes.length, "scope")}, ${tagged} with the tag ${tag}, ${unchanged} protected as before.`,
  );
  if (left > 0) verb.output.line(`The time did not suffice for ${counted(left, "VM")}: the next look goes on.`);
}

function exitCodeOf({ scopes, findings }: DiscoveryView): number {
  if (findings.some(({ action }) => action === "removal-held")) return errorCodes.refused.exitCode;
  return scopes.some(({ state }) => state === "failed") || findings.some(isProblem) ? 1 : 0;
}

/** Below the table of the status: what is wrong with the discovery, and nothing where nothing is. */
export function discoveryLines(reports: readonly DiscoveryReportView[]): readonly string[] {
  return reports.flatMap(({ scope, completeAt, error, problems, problemsInAll }) => {
    const since = completeAt === undefined ? "it never was" : `it was last at ${formatTime(completeAt)}`;
    return [
      ...(error === undefined ? [] : [`DISCOVERY FAILED in ${scope}: ${error.message} Listed to its end, ${since}.`]),
      ...problems.map(({ resourceId, problem }) => `${nameOf(resourceId)}: ${problem}`),
      ...(problemsInAll > problems.length ? [`… and ${problemsInAll - problems.length} more in ${scope}.`] : []),
    ];
  });
}

function nameOf(resourceId: string): string {
  return resourceId.split("/").at(-1) ?? "";
}
