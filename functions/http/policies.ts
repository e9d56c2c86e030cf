import { getPolicy } from "../../shared/operations/manage/get-policy.ts";
import { listPage } from "../../shared/operations/manage/list-page.ts";
import { removePolicy } from "../../shared/operations/manage/remove-policy.ts";
import type { PolicySettings } from "../../shared/operations/manage/set-policy.ts";
import { setPolicy } from "../../shared/operations/manage/set-policy.ts";
import type { PolicyBody } from "../../shared/wire/http/policy.ts";
import { policyView } from "../../shared/wire/http/policy.ts";
import { routes } from "../../shared/wire/http/routes.ts";
import { endpoint } from "./handler.ts";

export const policyEndpoints = [
  endpoint(routes.listPolicies, async (app, { query }, signal) => {
    const page = await listPage((await app.context()).catalog.policies, {}, query, signal);
    return { status: 200, body: { ...page, items: page.items.map(policyView) } };
  }),
  endpoint(routes.getPolicy, async (app, { params }, signal) => {
    const { value } = await getPolicy(await app.context(), { name: params.policy }, signal);
    return { status: 200, body: policyView(value) };
  }),
  endpoint(routes.setPolicy, async (app, { params, body }, signal) => {
    const set = await setPolicy(await app.context(), { name: params.policy, settings: settingsOf(body) }, signal);
    return { status: set.kind === "created" ? 201 : 200, body: policyView(set.policy) };
  }),
  endpoint(routes.removePolicy, async (app, { params }, signal) => {
    await removePolicy(await app.context(), { name: params.policy }, signal);
    return { status: 204 };
  }),
];

function settingsOf(body: PolicyBody): PolicySettings {
  const { schedule, retention, ...rest } = body;
  const kept = Object.fromEntries(Object.entries(retention).filter(([, count]) => count !== undefined));
  return { ...rest, retention: kept, ...(schedule === undefined ? {} : { schedule }) };
}
