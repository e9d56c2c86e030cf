/** Restores to the platform over a local ARM: what they are asked, and how far they are driven. The clock is the test's. */
import { ArmConnection } from "../../shared/adapters/azure/managed/arm-connection.ts";
import { localArm } from "../../shared/adapters/azure/managed/local-arm.ts";
import { ManagedMachineTarget } from "../../shared/adapters/azure/managed/machine/managed-machine-target.ts";
import { inspectVm } from "../../shared/adapters/azure/managed/inspect-vm.ts";
import { parsePointId, parseRunId, parseVmName } from "../../shared/core/ids.ts";
import type { MachineTargetSpec } from "../../shared/core/machine-restore.ts";
import { parseResourceGroupId, type ResourceGroupId } from "../../shared/core/resource-id.ts";
import { parseTimestamp } from "../../shared/core/timestamp.ts";
import type { MachineProgress, MachineRestore, TakenBack } from "../../shared/ports/machine-target.ts";
import { subscriptionId } from "./arm-client.ts";
import type { ManagedRegion, ManagedVm } from "./managed-vm.ts";

const never = new AbortController().signal;

export const runA = parseRunId("01K0000000000000000000000A");
export const runB = parseRunId("01K0000000000000000000000B");

export function groupId(name: string, subscription = subscriptionId): ResourceGroupId {
  return parseResourceGroupId(`/subscriptions/${subscription}/resourceGroups/${name}`);
}

/** A clock that stands, and a target over it. */
export interface MachineBench {
  readonly clock: { at: number; now(): number; monotonic(): number };
  readonly arm: ArmConnection;
  /** Another process: it knows nothing of what this one remembers. */
  readonly target: () => ManagedMachineTarget;
}

export async function machineBench(region: ManagedRegion, clock: MachineBench["clock"]): Promise<MachineBench> {
  const sleep = async () => undefined;
  const arm = await ArmConnection.open({
    ...localArm(region.server.url),
    clock: { monotonic: () => (clock.at += 1), sleep },
  });
  return {
    clock,
    arm,
    target: () => new ManagedMachineTarget({ arm: async () => arm, clock, discoveryTag: "farside-policy" }),
  };
}

export function testClock(): MachineBench["clock"] {
  const clock = { at: Date.parse("2026-11-21T10:00:00.000Z"), now: () => clock.at, monotonic: () => clock.at };
  return clock;
}

/** Of all disks of a VM as they are captured now. */
export async function restoreOf(
  { arm }: MachineBench,
  vm: ManagedVm,
  target: MachineTargetSpec,
  more: Partial<MachineRestore> = {},
): Promise<MachineRestore> {
  const found = await inspectVm(arm, { resourceId: vm.resourceId }, never);
  return {
    runId: runA,
    vm: parseVmName("web"),
    pointId: parsePointId("01K000000000000000000000PT"),
    snapshotAt: parseTimestamp("2026-11-20T08:30:00.000Z"),
    target,
    disks: found.disks.map(({ name, role, lun, sizeBytes, logicalSectorSize }) => ({
      name,
      role,
      ...(lun === undefined ? {} : { lun }),
      sizeBytes,
      logicalSectorSize,
    })),
    configuration: found.configuration,
    osType: "linux",
    resourceId: vm.resourceId,
    ...more,
  };
}

/** As a step has it after the preflight. */
export function withUrls(restore: MachineRestore, urls: readonly string[]): MachineRestore {
  return { ...restore, disks: restore.disks.map((disk, index) => ({ ...disk, url: urls[index] ?? "" })) };
}

const mostCalls = 200;

/** Each call by a process of its own; time passes in between as it was asked for. */
export async function driven(
  { clock, target }: MachineBench,
  phase: "prepare" | "finish",
  restore: MachineRestore,
): Promise<Extract<MachineProgress, { kind: "done" }>> {
  let operation: string | undefined;
  for (let call = 0; call < mostCalls; call++) {
    const progress = await target()[phase](restore, operation, never);
    if (progress.kind === "done") return progress;
    if (/sig=/.test(progress.operation)) throw new Error("A SAS is kept.");
    ({ operation } = progress);
    clock.at += progress.retryAfterMs;
  }
  throw new Error(`${phase} does not end.`);
}

/** By one process, as its failures are counted there. */
export async function takenBack(
  bench: MachineBench,
  restore: MachineRestore,
): Promise<Extract<TakenBack, { kind: "gone" }>> {
  const target = bench.target();
  for (let call = 0; call < mostCalls; call++) {
    const taken = await target.takeBack(restore, never);
    if (taken.kind === "gone") return taken;
    bench.clock.at += taken.retryAfterMs;
  }
  throw new Error("takeBack does not end.");
}

/** Every resource by its id and what can be seen of it: two of these show what a restore left. */
export function resourcesOf(region: ManagedRegion): Readonly<Record<string, unknown>> {
  return Object.fromEntries(region.server.arm.resources.all().map(({ id, body }) => [id, body]));
}

/** What a disk of the region holds. */
export async function bytesOf(region: ManagedRegion, id: string, offset: number, length: number): Promise<Uint8Array> {
  const { bytes } = region.server.arm.resources.require(id);
  if (bytes === undefined) throw new Error(`${id} has no bytes.`);
  return region.server.arm.store.read(bytes, offset, length);
}
