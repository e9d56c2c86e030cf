/** The service itself: health, its own description, the fleet, the vault, a tick of the schedule. */
import { FarsideError } from "../../shared/core/errors.ts";
import { fleetStatus } from "../../shared/operations/manage/fleet-status.ts";
import { rebuildCatalog } from "../../shared/operations/manage/rebuild-catalog.ts";
import { scheduleBackups } from "../../shared/operations/schedule-backups.ts";
import { openApiDocument } from "../../shared/wire/http/openapi.ts";
import { routes } from "../../shared/wire/http/routes.ts";
import type { HealthView } from "../../shared/wire/http/status.ts";
import type { App } from "../../shared/compose/app.ts";
import { endpoint } from "./handler.ts";
import { statusView, vaultView } from "./status-view.ts";

export const serviceEndpoints = [
  endpoint(routes.getHealth, (app) => healthReply(app)),
  endpoint(routes.getOpenApi, (app) => Promise.resolve({ status: 200, body: openApiDocument(app.version) })),
  endpoint(routes.getStatus, async (app, _call, signal) => {
    return { status: 200, body: statusView(await fleetStatus(await app.context(), {}, signal)) };
  }),
  endpoint(routes.runSchedule, async (app, _call, signal) => {
    return { status: 200, body: { ...(await scheduleBackups(await app.context(), {}, signal)) } };
  }),
  endpoint(routes.getVault, async (app, _call, signal) => {
    const vault = await (await app.context()).vault(signal);
    return { status: 200, body: vaultView(vault.store.location, vault.descriptor) };
  }),
  endpoint(routes.rebuildCatalog, async (app, { body }, signal) => {
    const { after } = body;
    const report = await rebuildCatalog(await app.context(), after === undefined ? {} : { after }, signal);
    return { status: 200, body: { ...report } };
  }),
];

/** Anonymous: what is wrong is named by its setting, and a setting's problem never shows a secret. */
async function healthReply(app: App): Promise<{ readonly status: number; readonly body: HealthView }> {
  try {
    await app.context();
    return { status: 200, body: { status: "healthy", version: app.version, problems: [] } };
  } catch (error) {
    return { status: 503, body: { status: "unhealthy", version: app.version, problems: problemsOf(error) } };
  }
}

function problemsOf(error: unknown): HealthView["problems"] {
  const listed = error instanceof FarsideError ? error.details["problems"] : undefined;
  if (Array.isArray(listed)) return listed as HealthView["problems"];
  return [{ setting: "", problem: "The app could not be composed: see its log." }];
}
