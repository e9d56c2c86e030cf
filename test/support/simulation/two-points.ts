/** A VM that was backed up twice, and restores of it. */
import { parseDiskName } from "../../../shared/core/ids.ts";
import { requestRestore, type RestoreRequest } from "../../../shared/operations/request-restore.ts";
import { minuteMs, World } from "./world.ts";

export const mib = 1024 * 1024;
export const diskNamed = (name: string) => ({ name: parseDiskName(name) });
/** Where restores of these tests go. */
export const targetUrl = "https://target.example/back";
export const to = (url: string) => ({ kind: "container", url }) as const;

/** A VM with two restore points, an hour apart. */
export async function twoPoints(settings = {}, policy = {}): Promise<World> {
  const world = await World.create();
  await world.addPolicy("standard", policy);
  await world.addVm("Web.01", { disks: { os: 600 * mib, data: mib }, settings });
  for (let point = 0; point < 2; point++) {
    world.scribble("Web.01", "os", point * 300 * mib, 10_000);
    world.scribble("Web.01", "data", 0);
    await world.backUp("Web.01");
    world.clock.advance(60 * minuteMs);
  }
  return world;
}

/** A restore of the latest point into a container, unless it is asked for otherwise. */
export function ask(world: World, request: Partial<RestoreRequest> = {}) {
  const whole = { vm: "Web.01", point: { kind: "latest" }, target: to(targetUrl), ...request } as const;
  return requestRestore(world.context(), whole, world.signal);
}

/** The oldest first. */
export async function pointsOf(world: World) {
  const rows = await world.catalog.restorePoints.list({ limit: 10 }, world.signal);
  return rows.items.map(({ value }) => value).sort((a, b) => (a.pointId < b.pointId ? -1 : 1));
}
