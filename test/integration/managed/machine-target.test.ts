import { afterEach, describe } from "vitest";
import { parseResourceGroupId } from "../../../shared/core/resource-id.ts";
import { machineTargetConformance } from "../../conformance/machine-target.suite.ts";
import { bytesOf, groupId, machineBench, restoreOf, testClock } from "../../support/machine-restores.ts";
import { group, startManagedRegion, type ManagedRegion } from "../../support/managed-vm.ts";
import { addNetwork } from "../../support/sample-machine.ts";

let region: ManagedRegion | undefined;
afterEach(() => region?.stop());

describe("Azure Resource Manager", () => {
  machineTargetConformance(async () => {
    const clock = testClock();
    const takes = (operation: string): number => (operation.startsWith("access/begin") ? 0 : 30_000);
    const started = await startManagedRegion({ now: () => clock.at, takes });
    region = started;
    const bench = await machineBench(started, clock);
    const vm = await started.addVm("web", 2);
    const { arm } = started.server;
    arm.resources.change(vm.resourceId, { hardwareProfile: { vmSize: "Standard_D2s_v5" } });
    const subnetId = await addNetwork(bench.arm, "net", { location: "westeurope", net: 1 });
    const resourceGroup = parseResourceGroupId(groupId(group));
    // What was begun shows its end when somebody looks.
    const look = async () => started.client.virtualMachines.get(group, "web", { expand: "instanceView" });
    clock.at += 60_000;
    await look();
    return {
      target: bench.target,
      targets: [
        { kind: "managed-disks", resourceGroup, location: "westeurope" },
        { kind: "managed-vm", name: "twin", resourceGroup, location: "westeurope", subnetId },
        { kind: "swap-disks", mayStop: true },
      ],
      restore: (runId, target) => restoreOf(bench, vm, target, { runId }),
      pass: async (ms) => {
        clock.at += ms;
        await look();
      },
      ids: () =>
        arm.resources
          .all()
          .map(({ id }) => id.toLowerCase())
          .sort(),
      vm: async () => {
        const { storageProfile, instanceView } = await look();
        const attached = [storageProfile?.osDisk, ...(storageProfile?.dataDisks ?? [])];
        return {
          disks: attached.map((disk) => disk?.managedDisk?.id?.toLowerCase()),
          running: instanceView?.statuses?.some(({ code }) => code === "PowerState/running") === true,
        };
      },
      content: (id, offset, length) => bytesOf(started, id, offset, length),
    };
  });
});
