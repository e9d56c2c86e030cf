/** VMs of a platform with tags, in the simulated world. */
import { parseDiscoveryScope } from "../../../shared/core/discovery-scope.ts";
import { parseDiskName, type VmName } from "../../../shared/core/ids.ts";
import { parseVmResourceId, type VmResourceId } from "../../../shared/core/resource-id.ts";
import type { ProtectedVm } from "../../../shared/core/vm.ts";
import { discoverVms, type DiscoverInput, type DiscoveryOutcome } from "../../../shared/operations/discover-vms.ts";
import { listWhole } from "../../../shared/operations/manage/list-whole.ts";
import { Process } from "./process.ts";
import { World } from "./world.ts";

const subscriptions = { one: "00000000-0000-0000-0000-000000000001", two: "00000000-0000-0000-0000-000000000002" };
export const scopeOne = parseDiscoveryScope(`/subscriptions/${subscriptions.one}`);
export const scopeTwo = parseDiscoveryScope(`/subscriptions/${subscriptions.two}/resourceGroups/prod`);

export function idOf(name: string, group = "prod", subscription: keyof typeof subscriptions = "one"): VmResourceId {
  return parseVmResourceId(
    `/subscriptions/${subscriptions[subscription]}/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachines/${name}`,
  );
}

/** Two policies, and no VM yet. */
export async function taggedWorld(): Promise<World> {
  const world = await World.create();
  world.scopes = [scopeOne, scopeTwo];
  await world.addPolicy("daily");
  await world.addPolicy("hourly");
  return world;
}

/** `policy`: the value of its tag; undefined without one. */
export function tag(world: World, resourceId: VmResourceId, policy: string | undefined): void {
  const name = resourceId.split("/").at(-1) ?? "";
  const url = `https://source.example${resourceId}/os.vhd`;
  const disk = { name: parseDiskName("os"), url, role: "os" } as const;
  if (!world.source.hasDisk(url)) {
    world.source.addDisk(url, 1024 * 1024);
    world.source.addVm(resourceId, [disk]);
    world.source.write(url, 0, world.random.bytes(4096));
  }
  world.directory.put({ resourceId, name, tags: policy === undefined ? {} : { "Farside-Policy": policy } });
}

export function look(world: World, input: DiscoverInput = {}, process = new Process()): Promise<DiscoveryOutcome> {
  return discoverVms(world.context(process), input, world.signal);
}

/** By name: the policy, and by whom. */
export async function protection(world: World): Promise<Readonly<Record<VmName, string>>> {
  const rows = await listWhole(world.catalog.vms, {}, world.signal);
  const text = ({ policy, protectedBy }: ProtectedVm) => `${policy} ${protectedBy ?? "manual"}`;
  return Object.fromEntries(rows.map((row) => [row.name, text(row)]));
}

export const actions = ({ findings }: DiscoveryOutcome) => findings.map(({ action }) => action).sort();
