/**
 * Disks, VMs and exchanges of disks made of restore points, by Azure Resource Manager (docs/azure.md). The port says what a target must do.
 *
 * 1. Names come from the restore, and the tag of the run tells what is its own: what was made is found by looking at it.
 * 2. Disks are made for direct upload, written by SAS, and sealed by giving the SAS back: only then can they be attached.
 */
import type { RunId } from "../../../../core/ids.ts";
import type { MadeResource, ManagedVmTarget } from "../../../../core/machine-restore.ts";
import type { Clock } from "../../../../ports/clock.ts";
import type {
  MachineDisk,
  MachineProgress,
  MachineRestore,
  MachineTarget,
  PlannedMachine,
  TakenBack,
} from "../../../../ports/machine-target.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { detachedDisks, exchangeSteps } from "./exchange-disks.ts";
import { makingSteps } from "./make-disks.ts";
import { vmSteps } from "./make-vm.ts";
import { diskIds, nameOf, vmIdOf } from "./names.ts";
import type { PlannedInterface } from "./plan-interfaces.ts";
import { planMachine } from "./plan-machine.ts";
import { planRestore } from "./plan-restore.ts";
import { preflight } from "./preflight.ts";
import { OwnRemover } from "./remove-own.ts";
import { sealingSteps } from "./seal-disks.ts";
import { walk, type Phase, type Step } from "./step-walk.ts";
import { takeBack } from "./take-back.ts";
import { unprotectedCopy } from "./unprotected-copy.ts";
import { UploadAccess } from "./upload-access.ts";
import { writePages } from "./write-pages.ts";

export interface ManagedMachineOptions {
  /** Called when ARM is first needed. */
  readonly arm: () => Promise<ArmConnection>;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  /** The name of the tag by which VMs are protected: a new VM does not get it. */
  readonly discoveryTag: string;
  /** How long an operation is left alone before it is looked at again. */
  readonly lookAgainMs?: number;
}

const lookAgainMs = 10_000;

export class ManagedMachineTarget implements MachineTarget {
  readonly #arm: () => Promise<ArmConnection>;
  readonly #clock: Pick<Clock, "now" | "monotonic">;
  readonly #lookAgainMs: number;
  readonly #discoveryTag: string;
  readonly #access: UploadAccess;
  readonly #remover = new OwnRemover();

  constructor({ arm, clock, discoveryTag, ...options }: ManagedMachineOptions) {
    this.#arm = arm;
    this.#discoveryTag = discoveryTag;
    this.#clock = clock;
    this.#lookAgainMs = options.lookAgainMs ?? lookAgainMs;
    this.#access = new UploadAccess(arm, () => clock.monotonic());
  }

  async preflight(restore: MachineRestore, signal: AbortSignal): Promise<PlannedMachine> {
    const copy = unprotectedCopy(restore, this.#discoveryTag);
    const { disks, notes } = await preflight(await this.#arm(), copy.restore, signal);
    return { disks, notes: [...notes, ...copy.notes] };
  }

  async prepare(restore: MachineRestore, operation: string | undefined, signal: AbortSignal): Promise<MachineProgress> {
    const arm = await this.#arm();
    const steps = makingSteps({
      arm,
      access: this.#access,
      restore,
      bodies: once(async () => (await planRestore(arm, restore, signal)).disks.map(({ body }) => body)),
    });
    return this.#walk(arm, "prepare", steps, operation, async () => madeDisks(restore), signal);
  }

  async write(
    disk: MachineDisk,
    runId: RunId,
    offset: number,
    content: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const { url = "" } = disk;
    if (offset % 512 !== 0 || offset + content.length > disk.sizeBytes) {
      throw new RangeError(`A write of ${content.length} bytes at ${offset} does not fit a disk of ${disk.sizeBytes}.`);
    }
    await this.#access.with(url, runId, signal, (urls) =>
      writePages(urls.disk, offset, content, `the disk ${nameOf(url)}`, signal),
    );
  }

  async finish(restore: MachineRestore, operation: string | undefined, signal: AbortSignal): Promise<MachineProgress> {
    const arm = await this.#arm();
    const sealing = sealingSteps({ arm, access: this.#access, restore });
    const { target } = restore;
    if (target.kind === "managed-disks") {
      return this.#walk(arm, "finish", sealing, operation, async () => madeDisks(restore), signal);
    }
    if (target.kind === "swap-disks") {
      const exchanging = { arm, restore, target };
      const steps = [...sealing, ...exchangeSteps(exchanging)];
      return this.#walk(arm, "finish", steps, operation, () => detachedDisks(exchanging, signal), signal);
    }
    const { restore: copy } = unprotectedCopy(restore, this.#discoveryTag);
    const plan = once(() => planMachine(arm, copy, target, {}, signal));
    const steps = [...sealing, ...vmSteps({ arm, restore, target, plan })];
    const made = async () => madeMachine(target, (await plan()).interfaces);
    return this.#walk(arm, "finish", steps, operation, made, signal);
  }

  async takeBack(restore: MachineRestore, signal: AbortSignal): Promise<TakenBack> {
    const arm = await this.#arm();
    const taking = { arm, access: this.#access, remover: this.#remover, restore, retryAfterMs: this.#lookAgainMs };
    return takeBack(taking, signal);
  }

  async #walk(
    arm: ArmConnection,
    phase: Phase,
    steps: readonly Step[],
    operation: string | undefined,
    made: () => Promise<readonly MadeResource[]>,
    signal: AbortSignal,
  ): Promise<MachineProgress> {
    const walking = { arm, phase, operation, now: () => this.#clock.now(), lookAgainMs: this.#lookAgainMs };
    const walked = await walk(steps, walking, signal);
    return walked.kind === "done" ? { kind: "done", made: await made(), notes: [] } : walked;
  }
}

/** In one call, however often it is asked for. */
function once<T>(task: () => Promise<T>): () => Promise<T> {
  let standing: Promise<T> | undefined;
  return () => {
    standing ??= task();
    return standing;
  };
}

function madeMachine(target: ManagedVmTarget, interfaces: readonly PlannedInterface[]): readonly MadeResource[] {
  return [
    ...interfaces.map(({ id }) => ({ kind: "network-interface", id }) as const),
    { kind: "vm", id: vmIdOf(target.resourceGroup, target.name) },
  ];
}

function madeDisks(restore: MachineRestore): readonly MadeResource[] {
  return diskIds(restore).map((id) => ({ kind: "disk", id }));
}
