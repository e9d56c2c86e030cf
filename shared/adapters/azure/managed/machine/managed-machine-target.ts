/**
 * Disks, VMs and exchanges of disks made of restore points, by Azure Resource Manager (docs/azure.md). The port says what a target must do.
 *
 * 1. Names come from the restore, and the tag of the run tells what is its own: what was made is found by looking at it.
 * 2. Disks are made for direct upload, written by SAS, and sealed by giving the SAS back: only then can they be attached.
 */
import type { RunId } from "../../../../core/ids.ts";
import type { MadeResource } from "../../../../core/machine-restore.ts";
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
import { makingSteps } from "./make-disks.ts";
import { diskIds, nameOf } from "./names.ts";
import { planRestore } from "./plan-restore.ts";
import { preflight } from "./preflight.ts";
import { OwnRemover } from "./remove-own.ts";
import { sealingSteps } from "./seal-disks.ts";
import { walk, type Phase, type Step } from "./step-walk.ts";
import { takeBack } from "./take-back.ts";
import { UploadAccess } from "./upload-access.ts";
import { writePages } from "./write-pages.ts";

export interface ManagedMachineOptions {
  /** Called when ARM is first needed. */
  readonly arm: () => Promise<ArmConnection>;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  /** How long an operation is left alone before it is looked at again. */
  readonly lookAgainMs?: number;
}

const lookAgainMs = 10_000;

export class ManagedMachineTarget implements MachineTarget {
  readonly #arm: () => Promise<ArmConnection>;
  readonly #clock: Pick<Clock, "now" | "monotonic">;
  readonly #lookAgainMs: number;
  readonly #access: UploadAccess;
  readonly #remover = new OwnRemover();

  constructor({ arm, clock, ...options }: ManagedMachineOptions) {
    this.#arm = arm;
    this.#clock = clock;
    this.#lookAgainMs = options.lookAgainMs ?? lookAgainMs;
    this.#access = new UploadAccess(arm, () => clock.monotonic());
  }

  async preflight(restore: MachineRestore, signal: AbortSignal): Promise<PlannedMachine> {
    return preflight(await this.#arm(), restore, signal);
  }

  async prepare(restore: MachineRestore, operation: string | undefined, signal: AbortSignal): Promise<MachineProgress> {
    const arm = await this.#arm();
    let bodies: Promise<readonly Readonly<Record<string, unknown>>[]> | undefined;
    const steps = makingSteps({
      arm,
      access: this.#access,
      restore,
      bodies: () => {
        bodies ??= planRestore(arm, restore, signal).then(({ disks }) => disks.map(({ body }) => body));
        return bodies;
      },
    });
    return this.#walk(arm, "prepare", steps, operation, () => madeDisks(restore), signal);
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
    const steps = sealingSteps({ arm, access: this.#access, restore });
    return this.#walk(arm, "finish", steps, operation, () => madeDisks(restore), signal);
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
    made: () => readonly MadeResource[],
    signal: AbortSignal,
  ): Promise<MachineProgress> {
    const walking = { arm, phase, operation, now: () => this.#clock.now(), lookAgainMs: this.#lookAgainMs };
    const walked = await walk(steps, walking, signal);
    return walked.kind === "done" ? { kind: "done", made: made(), notes: [] } : walked;
  }
}

function madeDisks(restore: MachineRestore): readonly MadeResource[] {
  return diskIds(restore).map((id) => ({ kind: "disk", id }));
}
