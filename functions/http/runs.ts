import { cancelRun } from "../../shared/operations/cancel-run.ts";
import { getRun } from "../../shared/operations/manage/get-run.ts";
import { listRuns } from "../../shared/operations/manage/list-runs.ts";
import { routes } from "../../shared/wire/http/routes.ts";
import { runView } from "../../shared/wire/http/run.ts";
import { endpoint } from "./handler.ts";

export const runEndpoints = [
  endpoint(routes.listRuns, async (app, { query }, signal) => {
    const page = await listRuns(await app.context(), query, signal);
    return { status: 200, body: { ...page, items: page.items.map((run) => runView(run)) } };
  }),
  endpoint(routes.getRun, async (app, { params }, signal) => {
    const { run, events } = await getRun(await app.context(), { runId: params.run }, signal);
    return { status: 200, body: runView(run, events) };
  }),
  endpoint(routes.cancelRun, async (app, { params }, signal) => {
    const { run } = await cancelRun(await app.context(), { runId: params.run }, signal);
    return { status: 202, body: runView(run), runId: run.runId };
  }),
];
