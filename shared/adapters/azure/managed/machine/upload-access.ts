/**
 * Write access to the disks that a restore makes: SAS URLs, which live in this process's memory alone (I8), shared by all that write the disk now.
 *
 * 1. A SAS is asked for only while the disk bears the run's tag and has not been sealed: a late write of a run that has ended, or of
 *    another one under the same name, gets none.
 * 2. It is asked for anew before it ends, and once where it is refused in between.
 * 3. Giving it back seals the disk for good: nothing can be written to it any more.
 */
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import { unlessAborted } from "../../../../core/unless-aborted.ts";
import type { RunId } from "../../../../core/ids.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { armCall, requireParts } from "../arm-connection.ts";
import { GrantedAccess, grantLimitMs, grantPollMs, grantSeconds } from "../granted-access.ts";
import { requireOwn, seeDisk, type SeenDisk } from "./look-at.ts";
import { nameOf } from "./names.ts";

export interface UploadUrls {
  readonly disk: string;
  /** Of the guest state of a trusted-launch disk. */
  readonly guestState: string | undefined;
}

export class UploadAccess {
  readonly #arm: () => Promise<ArmConnection>;
  readonly #granted: GrantedAccess<UploadUrls>;

  constructor(arm: () => Promise<ArmConnection>, monotonic: () => number) {
    this.#arm = arm;
    this.#granted = new GrantedAccess(monotonic);
  }

  /** Throws `target-exists`, `not-found` or `refused` where the disk is not, or no longer, this run's to write. */
  async with<T>(id: string, runId: RunId, signal: AbortSignal, call: (urls: UploadUrls) => Promise<T>): Promise<T> {
    const key = `${id.toLowerCase()} ${runId}`;
    const grant = () => this.#grant(id, runId);
    signal.throwIfAborted();
    const given = this.#granted.of(key, grant);
    try {
      return await call(await unlessAborted(given, signal));
    } catch (error) {
      // A SAS taken back is refused, and one of a disk that is gone names no host any more.
      if (!hasCode(error, "forbidden", "unavailable", "not-found") || signal.aborted) throw error;
      this.#granted.drop(key, given);
      if (!hasCode(error, "forbidden")) throw error;
      return call(await unlessAborted(this.#granted.of(key, grant), signal));
    }
  }

  /** The disk has been sealed, or is to be removed. */
  forget(id: string): void {
    const start = `${id.toLowerCase()} `;
    for (const key of this.#granted.keys()) if (key.startsWith(start)) this.#granted.drop(key);
  }

  async #grant(id: string, runId: RunId): Promise<UploadUrls> {
    const arm = await this.#arm();
    const signal = AbortSignal.timeout(2 * grantLimitMs);
    const isTrusted = requireWritable(await seeDisk(arm, id, signal), id, runId).kind === "with-guest-state";
    const { subscriptionId, resourceGroup } = requireParts(id);
    const asked = {
      access: "Write",
      durationInSeconds: grantSeconds,
      ...(isTrusted ? { getSecureVMGuestStateSAS: true } : {}),
    } as const;
    const answer = await armCall(
      `get access to the disk ${nameOf(id)}`,
      signal,
      (abortSignal) =>
        arm
          .compute(subscriptionId)
          .disks.grantAccess(resourceGroup, nameOf(id), asked, { updateIntervalInMs: grantPollMs, abortSignal })
          .pollUntilDone({ abortSignal }),
      grantLimitMs,
    );
    const { accessSAS, securityDataAccessSAS } = answer;
    if (accessSAS !== undefined && URL.canParse(accessSAS)) {
      return { disk: accessSAS, guestState: securityDataAccessSAS };
    }
    throw new FarsideError(
      "unavailable",
      `The service gave no access to the disk ${nameOf(id)}. It is asked again later.`,
    );
  }
}

export type DiskStage = "writable" | "with-guest-state" | "sealed";

export function stageOf({ properties }: SeenDisk): DiskStage {
  if (!/^(?:ReadyToUpload|ActiveUpload)$/i.test(properties.diskState ?? "")) return "sealed";
  return /^TrustedLaunch/i.test(properties.securityProfile?.securityType ?? "") ? "with-guest-state" : "writable";
}

function requireWritable(
  seen: SeenDisk | undefined,
  id: string,
  runId: RunId,
): { readonly kind: Exclude<DiskStage, "sealed"> } {
  if (seen === undefined) {
    throw new FarsideError("not-found", `The disk ${nameOf(id)} is gone: nothing can be written to it.`, {
      details: { id },
    });
  }
  requireOwn(seen, runId, "The disk");
  const kind = stageOf(seen);
  if (kind !== "sealed") return { kind };
  throw new FarsideError(
    "refused",
    `The upload of the disk ${nameOf(id)} has been ended: nothing is written to it any more. Where that was not this restore's own doing, restore again.`,
    { details: { id } },
  );
}
