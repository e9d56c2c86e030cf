/**
 * The guest state of a trusted-launch VM's OS disk: firmware variables and virtual TPM, in a blob of its own beside the snapshot's, which
 * the platform shares on request (`getSecureVMGuestStateSAS`, "Deploy a VM with trusted launch"; GrantAccessData of the specification).
 *
 * 1. It is kept byte for byte as the platform gives it, footer and all: so it is uploaded again.
 * 2. Where the platform gives none (of disk restore points nothing is documented), that is an answer and no error: the disks are worth a
 *    restore point without it.
 */
import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { hasCode } from "../../../core/errors.ts";
import { guestStateLimitBytes, type GuestState } from "../../../ports/disk-source.ts";
import { pageBlobFacts, readPages } from "../page-blob-facts.ts";
import { defaultTryTimeoutMs, withTryTimeout } from "../storage-clients.ts";
import type { DiskAccess } from "./access.ts";
import { shownReference, type DiskReference } from "./disk-reference.ts";

export async function readGuestState(
  access: DiskAccess,
  reference: DiskReference,
  signal: AbortSignal,
): Promise<GuestState> {
  const what = `the guest state of ${shownReference(reference)}`;
  const ask = () => access.withGuestState(reference, signal, (sas) => read(sas, what, signal));
  try {
    return await ask();
  } catch (error) {
    if (!mayMeanNone(error)) throw error;
  }
  // What stands in the way of the disk's bytes too is no word about its guest state: that is thrown, and waited for.
  await access.with([reference], signal, () => Promise.resolve());
  try {
    return await ask();
  } catch (error) {
    if (mayMeanNone(error)) return notShared;
    throw error;
  }
}

const notShared: GuestState = { kind: "not-given", why: "the platform does not share it" };

/** How the service refuses it is not documented: every answer that is none of load, rights or absence. */
function mayMeanNone(error: unknown): boolean {
  if (hasCode(error, "refused", "not-supported", "snapshot-failed")) return true;
  return hasCode(error, "throttled") && hasCode(error.cause, "conflict");
}

async function read(sas: string | undefined, what: string, signal: AbortSignal): Promise<GuestState> {
  if (sas === undefined) return notShared;
  const client = withTryTimeout(
    defaultTryTimeoutMs,
    (options) => new PageBlobClient(sas, new AnonymousCredential(), options),
  );
  const { blobBytes } = await pageBlobFacts(client, what, signal);
  if (blobBytes > guestStateLimitBytes) {
    return { kind: "not-given", why: `it has ${blobBytes} bytes, more than the ${guestStateLimitBytes} of one` };
  }
  return { kind: "given", content: await readPages(client, 0, blobBytes, what, signal) };
}
