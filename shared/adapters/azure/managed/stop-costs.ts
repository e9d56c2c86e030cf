/** What a VM of Azure loses, or risks, by being deallocated and started ("States and billing of Azure Virtual Machines", "Spot Virtual Machines"). */
import { z } from "zod";
import type { VmModel } from "./arm-models.ts";

const address = z.object({
  name: z.string().optional(),
  properties: z.object({ publicIPAllocationMethod: z.string().optional() }).optional(),
});

/** Of its temporary disk nothing is said: every deallocation empties it, which docs/azure.md says. */
export function stopCosts(vm: VmModel, configuration: Readonly<Record<string, unknown>>): readonly string[] {
  const addresses = z.array(address).safeParse(configuration["publicIpAddresses"]).data ?? [];
  const dynamic = addresses.filter(({ properties }) => properties?.publicIPAllocationMethod === "Dynamic");
  const names = dynamic.map(({ name }) => name ?? "without a name").join(", ");
  return [
    ...(/^(?:Spot|Low)$/.test(vm.properties.priority ?? "")
      ? ["It is a Spot VM: there may be no capacity to start it again, for as long as it takes."]
      : []),
    ...(dynamic.length === 0
      ? []
      : [`Its public address may be another one afterwards, for it is allocated dynamically: ${names}.`]),
  ];
}
