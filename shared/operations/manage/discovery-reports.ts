import { mostProblems, type DiscoveryProblem, type DiscoveryReport } from "../../core/discovery-report.ts";
import { isInScope } from "../../core/discovery-scope.ts";
import { timestamp } from "../../core/timestamp.ts";
import type { Stored } from "../../ports/catalog.ts";
import type { Context } from "../context.ts";
import { listAll } from "../list-all.ts";
import type { ListedScope } from "./list-scopes.ts";

/** What is told of VMs that lie in no scope (any more). */
const elsewhere = "elsewhere";

/** Keeps how a look went, one row for each scope. Where another look has written its own meanwhile, that one stands as well as ours. */
export async function saveReports(
  context: Context,
  listed: readonly ListedScope[],
  problems: readonly DiscoveryProblem[],
  signal: AbortSignal,
): Promise<void> {
  const { discoveryReports } = context.catalog;
  const before = new Map<string, Stored<DiscoveryReport>>();
  for await (const stored of listAll(discoveryReports, {}, signal))
    before.set(stored.value.scope.toLowerCase(), stored);
  const reports = reportsOf(context, listed, problems, before);
  for (const report of reports) {
    const key = report.scope.toLowerCase();
    const stored = before.get(key);
    before.delete(key);
    if (stored === undefined) await discoveryReports.insert(report, signal);
    else await discoveryReports.replace(stored, report, signal);
  }
  // Of scopes that are not looked at any more.
  for (const [key, stored] of before) await discoveryReports.remove(key, stored, signal);
}

function reportsOf(
  context: Context,
  listed: readonly ListedScope[],
  problems: readonly DiscoveryProblem[],
  before: ReadonlyMap<string, Stored<DiscoveryReport>>,
): readonly DiscoveryReport[] {
  const at = timestamp(context.clock.now());
  const listedOf = (wanted: (resourceId: string) => boolean) => {
    const all = problems.filter(({ resourceId }) => wanted(resourceId));
    return { problems: all.slice(0, mostProblems), problemsInAll: all.length };
  };
  const reports = listed.map(({ scope, isComplete, vms, tagged, error, notBefore }): DiscoveryReport => {
    const last = before.get(scope.toLowerCase())?.value;
    const completeAt = isComplete ? at : last?.completeAt;
    return {
      scope,
      at,
      ...(completeAt === undefined ? {} : { completeAt }),
      vms: isComplete ? vms : (last?.vms ?? 0),
      tagged: isComplete ? tagged.length : (last?.tagged ?? 0),
      ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
      ...(notBefore === undefined ? {} : { notBefore }),
      ...listedOf((resourceId) => isInScope(resourceId, scope)),
    };
  });
  const others = listedOf((resourceId) => !listed.some(({ scope }) => isInScope(resourceId, scope)));
  if (others.problemsInAll === 0) return reports;
  return [...reports, { scope: elsewhere, at, vms: 0, tagged: 0, ...others }];
}
