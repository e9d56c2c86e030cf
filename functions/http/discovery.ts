import { isProblem } from "../../shared/core/discovery-finding.ts";
import { discoverVms, type DiscoveryOutcome } from "../../shared/operations/discover-vms.ts";
import type { DiscoveryView } from "../../shared/wire/http/discovery.ts";
import { routes } from "../../shared/wire/http/routes.ts";
import { endpoint } from "./handler.ts";

/** Below the deadline of a request: it ends by itself, and says what is left. */
const budgetMs = 60_000;
const mostFindings = 1000;

export const discoveryEndpoints = [
  endpoint(routes.runDiscovery, async (app, { body }, signal) => {
    const outcome = await discoverVms(await app.context(), { ...body, budgetMs }, signal);
    return { status: 200, body: discoveryView(outcome) };
  }),
];

function discoveryView({ dryRun, tag, scopes, findings, unchanged, left }: DiscoveryOutcome): DiscoveryView {
  return {
    dryRun,
    tag,
    scopes: scopes.map(({ scope, isComplete, vms, tagged, error }) => ({
      scope,
      state: isComplete ? "complete" : "failed",
      vms,
      tagged: tagged.length,
      ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
    })),
    // What is to be mended first: it must not be among those that are cut off.
    findings: [...findings.filter(isProblem), ...findings.filter((finding) => !isProblem(finding))]
      .slice(0, mostFindings)
      .map((finding) => ({ ...finding })),
    findingsInAll: findings.length,
    unchanged,
    left,
  };
}
