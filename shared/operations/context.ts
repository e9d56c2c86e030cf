/**
 * What every operation works with: the ports, composed once for the process (shared/compose), and the limits of a step.
 * An operation takes `(context, input, signal)`; tests and the simulation give it memory adapters wrapped in faults.
 */
import type { Calendar } from "../ports/calendar.ts";
import type { Catalog } from "../ports/catalog.ts";
import type { Clock } from "../ports/clock.ts";
import type { DiskSource } from "../ports/disk-source.ts";
import type { DiskReverter } from "../ports/disk-reverter.ts";
import type { MachineTarget } from "../ports/machine-target.ts";
import type { RunTarget } from "../ports/run-target.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { GuestAgent } from "../ports/guest-agent.ts";
import type { Random } from "../ports/random.ts";
import type { TaskQueue } from "../ports/task-queue.ts";
import type { VmSource } from "../core/vm.ts";
import type { Transfer } from "./transfer.ts";
import type { OpenVault } from "./vault/open-vault.ts";

export interface StepLimits {
  /** A window holds whole segments until about this many bytes have changed. */
  readonly windowBytes: number;
  /** A step stops by itself after this long and sends itself again; well below the function's own time limit. */
  readonly stepBudgetMs: number;
  /** Windows of one run that are in the queue at once. */
  readonly windowsAhead: number;
  /** Chunks that are looked for or written at once, over all windows of the process. */
  readonly chunksAtOnce: number;
  /** Unchanged chunks of each disk that are read and compared at every incremental backup that believes a diff. */
  readonly sampleChunks: number;
}

export interface Context {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: EventLog;
  readonly calendar: Calendar;
  readonly catalog: Catalog;
  readonly tasks: TaskQueue;
  readonly source: (kind: VmSource["kind"]) => DiskSource;
  readonly guest: GuestAgent;
  readonly target: RunTarget;
  /** Where the platform makes disks and VMs. */
  readonly machines: MachineTarget;
  /** Undefined for a kind of source whose disks cannot be written in place. */
  readonly reverter: (kind: VmSource["kind"]) => DiskReverter | undefined;
  /** Opened once and kept; throws what `openVault` throws. */
  readonly vault: (signal: AbortSignal) => Promise<OpenVault>;
  readonly limits: StepLimits;
  /** Shared by all steps of the process, so that its memory does not grow with them. */
  readonly transfer: Transfer;
  /** What writes the manifests. */
  readonly tool: { readonly name: string; readonly version: string };
}
