/**
 * The network interfaces of a VM that is made anew: as they were captured, where what they refer to is within reach. Pure.
 *
 * 1. A subnet is needed: one of another region or subscription must be replaced by name. All else that is out of reach is left out, and told.
 * 2. A restored VM takes no traffic of the one that it is a copy of: no public address, no place behind a load balancer is taken over, and
 *    a private address only where that was asked for.
 */
import { BlockList, isIPv6 } from "node:net";
import { FarsideError } from "../../../../core/errors.ts";
import type { ManagedVmTarget } from "../../../../core/machine-restore.ts";
import type { MachineRestore } from "../../../../ports/machine-target.ts";
import type { CapturedInterface, CapturedMachine } from "./captured-machine.ts";
import { interfaceIdOf, isSameId, nameOf } from "./names.ts";
import { tagsOf } from "./own-tags.ts";
import type { Json } from "./plan-disk.ts";
import type { Unusable } from "./standing-references.ts";

export interface Reach {
  readonly captured: CapturedMachine | undefined;
  readonly location: string;
  /** The target is in the region and subscription of the captured VM. */
  readonly isAtHome: boolean;
  /** What is within reach, but gone or not the service's to give. */
  readonly unusable?: Unusable;
}

export interface SubnetFacts {
  readonly id: string;
  /** `10.0.0.0/24`. */
  readonly prefixes: readonly string[];
}

export interface PlannedInterface {
  readonly id: string;
  readonly isPrimary: boolean;
  readonly securityGroupId: string | undefined;
  readonly body: Json;
}

/** In the VM's order. What could not be read when it was captured is not among them. */
export function capturedInterfaces(captured: CapturedMachine | undefined): readonly CapturedInterface[] {
  const order = captured?.vm.properties.networkProfile?.networkInterfaces ?? [];
  const known = captured?.networkInterfaces ?? [];
  return order.flatMap(({ id }) => known.find((one) => isSameId(one.id, id)) ?? []);
}

/** The subnets that the interfaces will lie in. Throws `bad-input` where one must be named. */
export function neededSubnets(target: ManagedVmTarget, { captured, isAtHome, location }: Reach): readonly string[] {
  if (target.subnetId !== undefined) return [target.subnetId];
  const subnets = capturedInterfaces(captured).flatMap(({ properties }) =>
    properties.ipConfigurations.flatMap((one) => one.properties.subnet?.id ?? []),
  );
  const [first] = subnets;
  if (first === undefined) {
    refuse("This restore point knows no subnet for the new VM: name one with --subnet.");
  }
  const [, , home] = (captured?.vm.id ?? "").split("/");
  if (isAtHome && subnets.every((id) => id.split("/")[2]?.toLowerCase() === home?.toLowerCase())) {
    return [...new Set(subnets)];
  }
  return refuse(
    `The VM's subnet ${nameOf(first)} is of another region or subscription than the new VM (${location}): name one there with --subnet.`,
  );
}

function refuse(message: string): never {
  throw new FarsideError("bad-input", message);
}

export interface InterfaceFacts extends Reach {
  readonly subnets: readonly SubnetFacts[];
  /** Of the new size; undefined where that was not looked at. */
  readonly canAccelerate: boolean | undefined;
}

export function planInterfaces(
  restore: MachineRestore,
  target: ManagedVmTarget,
  facts: InterfaceFacts,
): { readonly interfaces: readonly PlannedInterface[]; readonly notes: readonly string[] } {
  const notes = new Set<string>();
  const note = (text: string): void => void notes.add(text);
  const captured = capturedInterfaces(facts.captured);
  const lost = (facts.captured?.vm.properties.networkProfile?.networkInterfaces?.length ?? 0) - captured.length;
  if (lost > 0) note(`${lost} network interfaces of the VM could not be read when it was captured: they are not made.`);
  const chosen = captured.length === 0 ? [bare] : captured;
  if (target.subnetId !== undefined && chosen.length > 1) {
    note(`All ${chosen.length} network interfaces lie in the subnet ${nameOf(target.subnetId)}.`);
  }
  const interfaces = chosen.map((one, index): PlannedInterface => {
    const securityGroupId = groupOf(one, target, facts, note);
    const body = {
      location: facts.location,
      tags: tagsOf(restore, one.tags ?? {}),
      properties: {
        ipConfigurations: configurationsOf(one, target, facts, note),
        ...acceleration(one, facts, note),
        ...(one.properties.enableIPForwarding === true ? { enableIPForwarding: true } : {}),
        ...dnsOf(one),
        ...(securityGroupId === undefined ? {} : { networkSecurityGroup: { id: securityGroupId } }),
      },
    };
    const isPrimary = chosen.length === 1 || (one.properties.primary ?? index === 0);
    return { id: interfaceIdOf(target.resourceGroup, target.name, index), isPrimary, securityGroupId, body };
  });
  return { interfaces, notes: [...notes] };
}

type Note = (text: string) => void;

/** Of a VM whose interfaces are not known. */
const bare: CapturedInterface = { id: "", properties: { ipConfigurations: [{ name: "ipconfig1", properties: {} }] } };

function configurationsOf(
  { properties }: CapturedInterface,
  target: ManagedVmTarget,
  facts: InterfaceFacts,
  note: Note,
): readonly Json[] {
  const all = properties.ipConfigurations.flatMap((one, index) => {
    const { properties: before } = one;
    const subnetId = target.subnetId ?? before.subnet?.id;
    const subnet = facts.subnets.find(({ id }) => isSameId(id, subnetId));
    const isV6 = before.privateIPAddressVersion?.toLowerCase() === "ipv6";
    if (isV6 && subnet !== undefined && !subnet.prefixes.some((prefix) => prefix.includes(":"))) {
      note(`The subnet ${nameOf(subnet.id)} has no IPv6 addresses: the VM's IPv6 address is left out.`);
      return [];
    }
    leftOut(before, note);
    return {
      name: one.name ?? `ipconfig${index + 1}`,
      properties: {
        ...(before.primary === undefined ? {} : { primary: before.primary }),
        ...(isV6 ? { privateIPAddressVersion: "IPv6" } : {}),
        subnet: { id: subnetId },
        ...addressOf(before.privateIPAddress, target, subnet, note),
        ...securityGroupsOf(before, target, facts, note),
      },
    };
  });
  return all;
}

type Configuration = CapturedInterface["properties"]["ipConfigurations"][number]["properties"];

function leftOut(before: Configuration, note: Note): void {
  if (before.publicIPAddress !== undefined) {
    note(
      `The public address ${nameOf(before.publicIPAddress.id)} is not taken over, for the VM may still use it: attach one to the new VM's interface.`,
    );
  }
  const pools = [before.loadBalancerBackendAddressPools, before.applicationGatewayBackendAddressPools].flat();
  const rules = before.loadBalancerInboundNatRules ?? [];
  if (pools.some((pool) => pool !== undefined) || rules.length > 0) {
    note(
      "The VM was behind a load balancer or gateway: the new one is not added there, so that it takes no traffic unasked.",
    );
  }
}

function addressOf(
  address: string | undefined,
  { keepPrivateAddresses = false }: ManagedVmTarget,
  subnet: SubnetFacts | undefined,
  note: Note,
): Json {
  if (keepPrivateAddresses && address !== undefined && subnet !== undefined) {
    if (holds(subnet.prefixes, address)) return { privateIPAllocationMethod: "Static", privateIPAddress: address };
    note(`The private address ${address} is not of the subnet ${nameOf(subnet.id)}: the new VM gets another one.`);
  } else if (address !== undefined) {
    note(`The private address ${address} is not kept: ask for it with --keep-addresses.`);
  }
  return { privateIPAllocationMethod: "Dynamic" };
}

/** Whether an address is of one of the prefixes. What cannot be read is none. */
export function holds(prefixes: readonly string[], address: string): boolean {
  const list = new BlockList();
  for (const prefix of prefixes) {
    const [network = "", bits = ""] = prefix.split("/");
    try {
      list.addSubnet(network, Number(bits), isIPv6(network) ? "ipv6" : "ipv4");
    } catch {
      return false;
    }
  }
  return list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

function securityGroupsOf(before: Configuration, target: ManagedVmTarget, facts: Reach, note: Note): Json {
  const { subnetId } = target;
  const groups = before.applicationSecurityGroups ?? [];
  if (groups.length === 0) return {};
  // All interfaces of such a group lie in one virtual network ("Application security groups").
  const isSameNetwork = subnetId === undefined || isSameId(networkOf(subnetId), networkOf(before.subnet?.id ?? ""));
  const areUsable = groups.every(({ id }) => isUsable(id, target, facts));
  if (areUsable && isSameNetwork) return { applicationSecurityGroups: groups.map(({ id }) => ({ id })) };
  note(
    `The application security groups ${groups.map(({ id }) => nameOf(id)).join(", ")} are left out: they are gone, of another network, or this service must not see them.`,
  );
  return {};
}

export function networkOf(subnetId: string): string {
  return subnetId.split("/").slice(0, -2).join("/");
}

function acceleration({ properties }: CapturedInterface, { canAccelerate }: InterfaceFacts, note: Note): Json {
  if (properties.enableAcceleratedNetworking !== true) return {};
  if (canAccelerate !== false) return { enableAcceleratedNetworking: true };
  note("The new size has no accelerated networking: it is left out.");
  return {};
}

function dnsOf({ properties }: CapturedInterface): Json {
  const servers = properties.dnsSettings?.dnsServers ?? [];
  return servers.length === 0 ? {} : { dnsSettings: { dnsServers: servers } };
}

function groupOf(
  { properties }: CapturedInterface,
  target: ManagedVmTarget,
  facts: Reach,
  note: Note,
): string | undefined {
  const { networkSecurityGroupId: wished } = target;
  const { networkSecurityGroup: before } = properties;
  if (wished !== undefined) return wished === "none" ? undefined : wished;
  if (before === undefined || isUsable(before.id, target, facts)) return before?.id;
  note(
    `The network security group ${nameOf(before.id)} is left out (it is gone, of another region or subscription, or this service must not see it): the new VM has none of its own; name one with --nsg.`,
  );
  return undefined;
}

export function isUsable(id: string, target: ManagedVmTarget, { isAtHome, unusable }: Reach): boolean {
  return isAtHome && isOfSubscription(id, target) && unusable?.has(id.toLowerCase()) !== true;
}

export function isOfSubscription(id: string, { resourceGroup }: Pick<ManagedVmTarget, "resourceGroup">): boolean {
  return id.split("/")[2]?.toLowerCase() === resourceGroup.split("/")[2]?.toLowerCase();
}
