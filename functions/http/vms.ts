import { getVm } from "../../shared/operations/manage/get-vm.ts";
import { listVms } from "../../shared/operations/manage/list-vms.ts";
import { protectVm } from "../../shared/operations/manage/protect-vm.ts";
import { unprotectVm } from "../../shared/operations/manage/unprotect-vm.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { routes } from "../../shared/wire/http/routes.ts";
import { runView } from "../../shared/wire/http/run.ts";
import { vmView } from "../../shared/wire/http/vm.ts";
import { endpoint } from "./handler.ts";

export const vmEndpoints = [
  endpoint(routes.listVms, async (app, { query }, signal) => {
    const page = await listVms(await app.context(), query, signal);
    return { status: 200, body: { ...page, items: page.items.map(({ vm, state }) => vmView(vm, state)) } };
  }),
  endpoint(routes.getVm, async (app, { params }, signal) => {
    const { stored, state } = await getVm(await app.context(), { name: params.vm }, signal);
    return { status: 200, body: vmView(stored.value, state) };
  }),
  endpoint(routes.protectVm, async (app, { params, body }, signal) => {
    const context = await app.context();
    const { kind, warnings } = await protectVm(context, { ...body, name: params.vm }, signal);
    const { stored, state } = await getVm(context, { name: params.vm }, signal);
    const told = warnings.length === 0 ? {} : { warnings };
    return { status: kind === "created" ? 201 : 200, body: { ...vmView(stored.value, state), ...told } };
  }),
  endpoint(routes.unprotectVm, async (app, { params }, signal) => {
    await unprotectVm(await app.context(), { name: params.vm }, signal);
    return { status: 204 };
  }),
  endpoint(routes.requestBackup, async (app, { params, idempotencyKey }, signal) => {
    const key = idempotencyKey === undefined ? {} : { idempotencyKey };
    const { run } = await requestBackup(await app.context(), { vm: params.vm, ...key }, signal);
    return { status: 202, body: runView(run), runId: run.runId };
  }),
];
