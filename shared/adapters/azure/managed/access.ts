/**
 * Access to the bytes of snapshots: SAS URLs, which live in this process's memory alone (I8).
 *
 * 1. A SAS is asked for when the first byte is read, and anew before it ends. The service gives the same URL again, with its new end, so
 *    that processes beside each other do not disturb one another.
 * 2. Somebody may take it back in between (a clean-up of a run before, a person): then it is asked for once more, and the call repeated.
 * 3. What is not given back ends by itself: three hours.
 * 4. A grant that somebody else stands in the way of (five SAS of one disk's snapshots at a time is the documented limit) is asked for again
 *    some minutes later, and the run waits for it as for a service that is throttled.
 */
import { FarsideError, hasCode } from "../../../core/errors.ts";
import { unlessAborted } from "../../../core/unless-aborted.ts";
import type { ArmConnection } from "./arm-connection.ts";
import { armCall, requireParts } from "./arm-connection.ts";
import { shownReference, type DiskReference } from "./disk-reference.ts";
import { GrantedAccess, grantLimitMs, grantPollMs, grantSeconds } from "./granted-access.ts";

const askAgainMs = 5 * 60_000;

export class DiskAccess {
  readonly #arm: () => Promise<ArmConnection>;
  readonly #granted: GrantedAccess<Given>;

  constructor(arm: () => Promise<ArmConnection>, monotonic: () => number) {
    this.#arm = arm;
    this.#granted = new GrantedAccess(monotonic);
  }

  /** `call` gets the SAS of each reference, in their order. */
  async with<T>(
    references: readonly DiskReference[],
    signal: AbortSignal,
    call: (urls: readonly string[]) => Promise<T>,
  ): Promise<T> {
    try {
      return await call(await this.#urls(references, signal));
    } catch (error) {
      if (!hasCode(error, "forbidden") || signal.aborted) throw error;
      for (const { id } of references) this.#granted.drop(id.toLowerCase());
      return call(await this.#urls(references, signal));
    }
  }

  /** `call` gets the SAS of the disk's guest state; undefined where the service gave none. */
  async withGuestState<T>(
    reference: DiskReference,
    signal: AbortSignal,
    call: (sas: string | undefined) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const { guestStateSas } = await this.#grant(reference, { ...read, getSecureVMGuestStateSAS: true });
    return call(guestStateSas);
  }

  /** Also what another process has asked for. Done as well where there is nothing to give back, or the snapshot is gone. */
  async giveBack(reference: DiskReference, signal: AbortSignal): Promise<void> {
    this.#granted.drop(reference.id.toLowerCase());
    const arm = await this.#arm();
    try {
      await armCall(
        `give back the access to ${shownReference(reference)}`,
        signal,
        (abortSignal) => revoke(arm, reference, abortSignal),
        grantLimitMs,
      );
    } catch (error) {
      if (!hasCode(error, "not-found")) throw error;
    }
  }

  async #urls(references: readonly DiskReference[], signal: AbortSignal): Promise<string[]> {
    const urls: string[] = [];
    // One after the other: two grants on one disk at once would be refused.
    for (const reference of references) {
      signal.throwIfAborted();
      const given = this.#granted.of(reference.id.toLowerCase(), () => this.#grant(reference, read));
      urls.push((await unlessAborted(given, signal)).sas);
    }
    return urls;
  }

  async #grant(reference: DiskReference, asked: Asked): Promise<Given> {
    const arm = await this.#arm();
    const what = shownReference(reference);
    const signal = AbortSignal.timeout(2 * grantLimitMs);
    const { accessSAS, securityDataAccessSAS } = await armCall(
      `get access to ${what}`,
      signal,
      (abortSignal) => grant(arm, reference, asked, abortSignal),
      grantLimitMs,
    ).catch((error: unknown) => {
      throw hasCode(error, "conflict") ? inTheWay(error) : error;
    });
    if (accessSAS !== undefined && URL.canParse(accessSAS)) {
      return { sas: accessSAS, guestStateSas: securityDataAccessSAS };
    }
    // Where the answer names no URL to fetch the result from, the SDK gives an empty one.
    throw new FarsideError("unavailable", `The service gave no access to ${what}. It is asked again later.`);
  }
}

/** As long as the session may last, and no longer. */
function inTheWay(error: FarsideError): FarsideError {
  const { message, details } = error;
  return new FarsideError("throttled", message, { details, cause: error, retryAfterMs: askAgainMs });
}

const read = { access: "Read", durationInSeconds: grantSeconds } as const;

type Asked = typeof read & { readonly getSecureVMGuestStateSAS?: true };

interface Given {
  readonly sas: string;
  readonly guestStateSas: string | undefined;
}

async function grant(arm: ArmConnection, reference: DiskReference, asked: Asked, abortSignal: AbortSignal) {
  const { subscriptionId, resourceGroup, path } = requireParts(reference.id);
  const client = arm.compute(subscriptionId);
  const options = { updateIntervalInMs: grantPollMs, abortSignal };
  const [one = "", two = "", three = ""] = path.map(([, name]) => name);
  return reference.kind === "snapshot"
    ? client.snapshots.grantAccess(resourceGroup, one, asked, options).pollUntilDone({ abortSignal })
    : client.diskRestorePoint
        .grantAccess(resourceGroup, one, two, three, asked, options)
        .pollUntilDone({ abortSignal });
}

async function revoke(arm: ArmConnection, reference: DiskReference, abortSignal: AbortSignal): Promise<void> {
  const { subscriptionId, resourceGroup, path } = requireParts(reference.id);
  const client = arm.compute(subscriptionId);
  const options = { updateIntervalInMs: grantPollMs, abortSignal };
  const [one = "", two = "", three = ""] = path.map(([, name]) => name);
  if (reference.kind === "snapshot") {
    await client.snapshots.revokeAccess(resourceGroup, one, options).pollUntilDone({ abortSignal });
  } else if (reference.kind === "disk-restore-point") {
    await client.diskRestorePoint.revokeAccess(resourceGroup, one, two, three, options).pollUntilDone({ abortSignal });
  }
}
