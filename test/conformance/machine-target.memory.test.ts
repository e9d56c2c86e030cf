import { describe } from "vitest";
import { MemoryDiskSource } from "../../shared/adapters/memory/memory-disk-source.ts";
import { MemoryMachineTarget } from "../../shared/adapters/memory/memory-machine-target.ts";
import { emptyImage, readImage } from "../../shared/adapters/memory/sparse-image.ts";
import { parseDiskName, parsePointId, parseVmName } from "../../shared/core/ids.ts";
import { timestamp } from "../../shared/core/timestamp.ts";
import { sampleEpochMs, sampleRunId } from "../support/sample-rows.ts";
import { swap, toDisks, toVm, webId } from "../support/simulation/machine-scenarios.ts";
import { machineTargetConformance } from "./machine-target.suite.ts";

const sizeBytes = 1024 * 1024;
const disks = (["os", "data"] as const).map((role, lun) => ({ name: parseDiskName(role), role, lun }));

describe("A platform in memory", () => {
  machineTargetConformance(async () => {
    const machines = new MemoryMachineTarget(new MemoryDiskSource(() => sampleEpochMs));
    machines.waits = 2;
    machines.addMachine(
      webId,
      disks.map((disk) => ({ ...disk, url: `disk-${disk.name}` })),
    );
    return Promise.resolve({
      target: () => machines,
      targets: [toDisks, toVm, swap],
      restore: async (runId, target) =>
        Promise.resolve({
          runId,
          target,
          vm: parseVmName("web"),
          pointId: parsePointId(sampleRunId(9)),
          snapshotAt: timestamp(sampleEpochMs),
          disks: disks.map((disk) => ({ ...disk, sizeBytes, logicalSectorSize: 512 })),
          configuration: {},
          resourceId: webId,
        }),
      pass: () => Promise.resolve(),
      ids: () =>
        machines
          .ids()
          .map((id) => id.toLowerCase())
          .sort(),
      vm: async () => {
        const { disks: attached = [], running = false } = machines.machine(webId) ?? {};
        return Promise.resolve({ disks: attached.map(({ url }) => url.toLowerCase()), running });
      },
      content: async (id, offset, length) =>
        Promise.resolve(new Uint8Array(readImage(machines.finished(id) ?? emptyImage(sizeBytes), offset, length))),
    });
  });
});
