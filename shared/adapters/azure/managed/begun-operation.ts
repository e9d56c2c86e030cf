/**
 * What an attempt has begun at the platform, as it is kept in the run's row: the SDK's own state of each operation, the disks as they were
 * inspected, and what a reader of the restore point should know.
 */
import { z } from "zod";
import { FarsideError } from "../../../core/errors.ts";
import { parseDiskName } from "../../../core/ids.ts";
import type { ArmConnection } from "./arm-connection.ts";
import { armCall } from "./arm-connection.ts";

const disk = z.object({
  id: z.string(),
  name: z.string().transform(parseDiskName),
  role: z.enum(["os", "data"]),
  lun: z.int().exactOptional(),
  sizeBytes: z.int(),
  logicalSectorSize: z.int(),
  identity: z.string(),
  hasGuestState: z.literal(true).exactOptional(),
});

const begun = z.object({
  kind: z.enum(["restore-point", "snapshots"]),
  /** In the order of the disks; a restore point is one for them all. No `poller`: it has ended well. */
  made: z.array(z.object({ id: z.string(), poller: z.string().exactOptional() })),
  disks: z.array(disk),
  /** Milliseconds since 1970, by this process's clock. */
  startedAt: z.number(),
  note: z.string().exactOptional(),
});

export type BegunOperation = z.output<typeof begun>;

export function parseBegun(text: string): BegunOperation {
  const parsed = begun.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new FarsideError("internal", "The run's row holds an operation of the platform that cannot be read.");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The SDK's own type of it stands in a package that we do not depend on. */
interface Begun {
  submitted(): Promise<void>;
  serialize(): Promise<string>;
}

/** Sends the request and does not wait: the state by which the operation is found again. */
export async function begin(begun: Begun, doing: string, signal: AbortSignal): Promise<string> {
  return armCall(doing, signal, async () => {
    await begun.submitted();
    return begun.serialize();
  });
}

type SourceOperation = Parameters<ArmConnection["sdk"]["restorePoller"]>[2];

/** One look: undefined where it has ended well, else its state now. Throws what it failed with. */
export async function lookAt(
  arm: ArmConnection,
  subscriptionId: string,
  operation: { readonly state: string; readonly of: SourceOperation },
  doing: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  return armCall(doing, signal, async (abortSignal) => {
    const poller = arm.sdk.restorePoller(arm.compute(subscriptionId), operation.state, operation.of, { abortSignal });
    await poller.poll({ abortSignal });
    return poller.isDone ? undefined : poller.serialize();
  });
}
