/**
 * VMs of Azure, deallocated and started.
 *
 * 1. Deallocated and not only powered off: nothing of the host's caches is left then, and the platform shows it as its own state.
 * 2. The platform asks the guest to shut down, and does not wait for ever ("Linux and graceful shutdowns", Azure's blog).
 * 3. Both are operations that are begun and looked at (begun-operation.ts). Of a VM that runs, a start ends well at once.
 */
import { z } from "zod";
import { FarsideError } from "../../../core/errors.ts";
import type { VmResourceId } from "../../../core/resource-id.ts";
import type { VmSource } from "../../../core/vm.ts";
import type { MachinePower, PowerPhase, PowerStep } from "../../../ports/machine-power.ts";
import { apiVersions, requireParts, type ArmConnection } from "./arm-connection.ts";
import { parseModel, vmModel } from "./arm-models.ts";
import { begin, lookAt } from "./begun-operation.ts";
import { statusCodes } from "./inspect-vm.ts";

const begunPower = z.object({ what: z.enum(["deallocate", "start"]), poller: z.string() });
type BegunPower = z.output<typeof begunPower>;

/** A deallocation takes a minute or two, a start less: somebody waits for both. */
const lookAgainMs = 10_000;

const phases: readonly (readonly [PowerPhase, RegExp])[] = [
  ["running", /^powerstate\/running$/],
  ["starting", /^powerstate\/starting$/],
  ["stopping", /^powerstate\/(?:stopping|deallocating)$/],
  ["stopped", /^powerstate\/(?:stopped|deallocated)$/],
];

export class ManagedPower implements MachinePower {
  readonly #arm: () => Promise<ArmConnection>;

  constructor(arm: () => Promise<ArmConnection>) {
    this.#arm = arm;
  }

  /** Requests: one. */
  async state(source: VmSource, signal: AbortSignal): Promise<PowerPhase> {
    const resourceId = resourceOf(source);
    const query = { "api-version": apiVersions.compute, $expand: "instanceView" };
    const raw = await (await this.#arm()).get(resourceId, query, "look whether the VM runs", signal);
    const codes = statusCodes(parseModel(vmModel, raw, "the VM's state"));
    return phases.find(([, pattern]) => codes.some((code) => pattern.test(code)))?.[0] ?? "unknown";
  }

  stop(source: VmSource, signal: AbortSignal): Promise<PowerStep> {
    return this.#begin("deallocate", source, signal);
  }

  start(source: VmSource, signal: AbortSignal): Promise<PowerStep> {
    return this.#begin("start", source, signal);
  }

  async look(source: VmSource, operation: string, signal: AbortSignal): Promise<PowerStep> {
    const arm = await this.#arm();
    const { what, poller } = parseBegunPower(operation);
    const { subscriptionId } = requireParts(resourceOf(source));
    const { virtualMachines } = arm.compute(subscriptionId);
    const of = what === "start" ? virtualMachines.start : virtualMachines.deallocate;
    const state = await lookAt(arm, subscriptionId, { state: poller, of }, `${what} the VM`, signal);
    return state === undefined ? { kind: "done" } : waiting({ what, poller: state });
  }

  async #begin(what: BegunPower["what"], source: VmSource, signal: AbortSignal): Promise<PowerStep> {
    const { subscriptionId, resourceGroup, path } = requireParts(resourceOf(source));
    const [, name = ""] = path[0] ?? [];
    const { virtualMachines } = (await this.#arm()).compute(subscriptionId);
    const begun =
      what === "start"
        ? virtualMachines.start(resourceGroup, name, { abortSignal: signal })
        : virtualMachines.deallocate(resourceGroup, name, { abortSignal: signal });
    return waiting({ what, poller: await begin(begun, `${what} the VM ${name}`, signal) });
  }
}

function waiting(begun: BegunPower): PowerStep {
  return { kind: "waiting", operation: JSON.stringify(begun), retryAfterMs: lookAgainMs };
}

function resourceOf(source: VmSource): VmResourceId {
  if (source.kind === "managed") return source.resourceId;
  throw new FarsideError("internal", `A source of the kind ${source.kind} is no VM of Azure.`);
}

function parseBegunPower(text: string): BegunPower {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const parsed = begunPower.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new FarsideError("internal", "The run's row holds a stop or a start that cannot be read.");
}
