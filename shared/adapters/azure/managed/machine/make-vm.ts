/** Makes the network interfaces of a new VM, then the VM, and stops it where it is to be left so. */
import { FarsideError } from "../../../../core/errors.ts";
import type { ManagedVmTarget } from "../../../../core/machine-restore.ts";
import type { MachineRestore } from "../../../../ports/machine-target.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { beginChange } from "./begun-change.ts";
import { ensureMade } from "./ensure-made.ts";
import { networkQuery, powerOf, requireOwn, seeAny, seeVm, vmQuery, type SeenAny, type SeenVm } from "./look-at.ts";
import { allOf } from "./make-disks.ts";
import { nameOf, vmIdOf } from "./names.ts";
import type { MachinePlan } from "./plan-machine.ts";
import { done, waitingFor, type Step, type StepResult } from "./step-walk.ts";

export interface VmMaking {
  readonly arm: ArmConnection;
  readonly restore: MachineRestore;
  readonly target: ManagedVmTarget;
  /** The same one for all of a call. */
  readonly plan: () => Promise<MachinePlan>;
}

export function vmSteps(making: VmMaking): readonly Step[] {
  const { target } = making;
  const steps: readonly Step[] = [
    { doing: "make the network interfaces", run: (signal) => makeInterfaces(making, signal) },
    { doing: `make the VM ${target.name}`, run: (signal) => makeVm(making, signal) },
  ];
  if (target.leaveStopped !== true) return steps;
  return [...steps, { doing: `stop the VM ${target.name}`, run: (signal) => stopVm(making, signal) }];
}

async function makeInterfaces({ arm, restore, plan }: VmMaking, signal: AbortSignal): Promise<StepResult> {
  const { interfaces } = await plan();
  const made = await allOf(interfaces, async ({ id, body }) => {
    const wanted = {
      id,
      query: networkQuery,
      what: "The network interface",
      doing: `make the network interface ${nameOf(id)}`,
      body: async () => body,
      see: () => seeAny(arm, id, networkQuery, signal),
    };
    return ensureMade<SeenAny>(arm, restore.runId, wanted, signal);
  });
  const begun = made.flatMap((one) => (one.kind === "begun" ? [one.change] : []));
  return begun.length === 0 ? done : waitingFor(...begun);
}

async function makeVm({ arm, restore, target, plan }: VmMaking, signal: AbortSignal): Promise<StepResult> {
  const id = vmIdOf(target.resourceGroup, target.name);
  const wanted = {
    id,
    query: vmQuery,
    what: "The VM",
    doing: `make the VM ${target.name}`,
    body: async () => (await plan()).vm.body,
    see: () => seeVm(arm, id, signal),
  };
  const made = await ensureMade<SeenVm>(arm, restore.runId, wanted, signal);
  return made.kind === "there" ? done : waitingFor(made.change);
}

async function stopVm({ arm, restore, target }: VmMaking, signal: AbortSignal): Promise<StepResult> {
  const id = vmIdOf(target.resourceGroup, target.name);
  const seen = await seeVm(arm, id, signal);
  if (seen === undefined) {
    throw new FarsideError("not-found", `The VM ${target.name} is gone: somebody removed it.`, { details: { id } });
  }
  requireOwn(seen, restore.runId, "The VM");
  const power = powerOf(seen);
  if (power === "deallocated") return done;
  if (power === "changing") return waitingFor();
  const change = { method: "POST", id, action: "deallocate", query: vmQuery } as const;
  return waitingFor(await beginChange(arm, change, `stop the VM ${target.name}`, signal));
}
