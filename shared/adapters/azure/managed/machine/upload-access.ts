/**
 * Write access to the disks that a restore makes: SAS URLs, which live in this process's memory alone (I8), shared by all that write the disk now.
 *
 * 1. A SAS is asked for only while the disk bears the run's tag and has not been sealed: a late write of a run that has ended, or of
 *    another one under the same name, gets none.
 * 2. It is asked for anew before it ends, and once where it is refused in between.
 * 3. Giving it back seals the disk for good: nothing can be written to it any more.
 */
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { RunId } from "../../../../core/ids.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { armCall, requireParts } from "../arm-connection.ts";
import { requireOwn, seeDisk, type SeenDisk } from "./look-at.ts";
import { nameOf } from "./names.ts";

const lastsMs = 3 * 3_600_000;
/** A window of a restore takes minutes: one begun now must still end with this SAS. */
const refreshBeforeMs = 20 * 60_000;
/** The one operation that is waited for: a second or two. */
const grantLimitMs = 20_000;
const pollMs = 500;

export interface UploadUrls {
  readonly disk: string;
  /** Of the guest state of a trusted-launch disk. */
  readonly guestState: string | undefined;
}

interface Granted {
  readonly urls: Promise<UploadUrls>;
  readonly endsAt: number;
}

export class UploadAccess {
  readonly #arm: () => Promise<ArmConnection>;
  readonly #monotonic: () => number;
  readonly #granted = new Map<string, Granted>();

  constructor(arm: () => Promise<ArmConnection>, monotonic: () => number) {
    this.#arm = arm;
    this.#monotonic = monotonic;
  }

  /** Throws `target-exists`, `not-found` or `refused` where the disk is not, or no longer, this run's to write. */
  async with<T>(id: string, runId: RunId, signal: AbortSignal, call: (urls: UploadUrls) => Promise<T>): Promise<T> {
    const key = `${id.toLowerCase()} ${runId}`;
    const granted = this.#urls(key, id, runId);
    try {
      return await call(await unlessAborted(granted.urls, signal));
    } catch (error) {
      // A SAS taken back is refused, and one of a disk that is gone names no host any more.
      if (!hasCode(error, "forbidden", "unavailable", "not-found") || signal.aborted) throw error;
      if (this.#granted.get(key) === granted) this.#granted.delete(key);
      if (!hasCode(error, "forbidden")) throw error;
      return call(await unlessAborted(this.#urls(key, id, runId).urls, signal));
    }
  }

  /** The disk has been sealed, or is to be removed. */
  forget(id: string): void {
    const start = `${id.toLowerCase()} `;
    for (const key of this.#granted.keys()) if (key.startsWith(start)) this.#granted.delete(key);
  }

  #urls(key: string, id: string, runId: RunId): Granted {
    const standing = this.#granted.get(key);
    if (standing !== undefined && standing.endsAt - refreshBeforeMs > this.#monotonic()) return standing;
    for (const [other, { endsAt }] of this.#granted) if (endsAt <= this.#monotonic()) this.#granted.delete(other);
    // Not ended by one of those who wait for it and give up.
    const granted = { urls: this.#grant(id, runId), endsAt: this.#monotonic() + lastsMs };
    this.#granted.set(key, granted);
    granted.urls.catch(() => {
      if (this.#granted.get(key) === granted) this.#granted.delete(key);
    });
    return granted;
  }

  async #grant(id: string, runId: RunId): Promise<UploadUrls> {
    const arm = await this.#arm();
    const signal = AbortSignal.timeout(2 * grantLimitMs);
    const isTrusted = requireWritable(await seeDisk(arm, id, signal), id, runId).kind === "with-guest-state";
    const { subscriptionId, resourceGroup } = requireParts(id);
    const asked = {
      access: "Write",
      durationInSeconds: lastsMs / 1000,
      ...(isTrusted ? { getSecureVMGuestStateSAS: true } : {}),
    } as const;
    const answer = await armCall(
      `get access to the disk ${nameOf(id)}`,
      signal,
      (abortSignal) =>
        arm
          .compute(subscriptionId)
          .disks.grantAccess(resourceGroup, nameOf(id), asked, { updateIntervalInMs: pollMs, abortSignal })
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

function unlessAborted<T>(task: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const aborted = () => reject(signal.reason as Error);
  signal.addEventListener("abort", aborted, { once: true });
  return Promise.race([task, promise]).finally(() => signal.removeEventListener("abort", aborted));
}
