/**
 * The commit point of a backup (docs/vault-format.md, rules W4 and W5).
 *
 * 1. The manifest is created, never overwritten; it comes after everything that it refers to.
 * 2. Committing the same attempt again gives the same restore point. Another attempt's manifest in its place is a conflict.
 * 3. Its own Last-Modified decides whether it counts; where it does, the seal keeps that verdict.
 */
import { FarsideError } from "../../core/errors.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { canonicalJsonBytes } from "../../core/vault/canonical-json.ts";
import { defectOf } from "../../core/vault/corrupt.ts";
import type { Manifest, ManifestBody } from "../../core/vault/manifest.ts";
import { withMac } from "../../core/vault/manifest-mac.ts";
import { manifestName, tombstoneName } from "../../core/vault/names.ts";
import { isParentGone, isTooLate } from "../../core/vault/session-rules.ts";
import { parseManifest } from "../../wire/vault/manifest.ts";
import { listPointBlobs, readManifest } from "./list-restore-points.ts";
import type { PointBlobs, ReadManifest } from "./list-restore-points.ts";
import type { OpenVault } from "./open-vault.ts";
import { readTombstone } from "./read-seal.ts";
import { writeSeal } from "./seal-manifest.ts";
import { serviceTime } from "./work-blobs.ts";

export interface CommitOptions {
  /** Where the caller knows it; the parent's tombstone is looked up besides. */
  readonly parentTombstonedAt?: Timestamp;
}

export interface CommittedManifest {
  /** `already`: an earlier call for this attempt wrote it. */
  readonly kind: "committed" | "already";
  readonly manifest: Manifest;
}

/** Throws `session-too-old` (W4, or W5: the manifest came too late and is void), `conflict`, `vault-corrupt`. */
export async function commitManifest(
  vault: OpenVault,
  body: ManifestBody,
  options: CommitOptions,
  signal: AbortSignal,
): Promise<CommittedManifest> {
  const { vmId, pointId } = body;
  const before = await readManifest(vault, vmId, pointId, signal);
  if (before.kind !== "absent") return { kind: "already", manifest: await settle(vault, body, before, signal) };

  await refuseIfTooOld(vault, body, options, signal);
  const previousMac = await findPreviousMac(vault, body, signal);
  const manifest = withMac(vault.keys, { ...body, ...(previousMac === undefined ? {} : { previousMac }) });
  refuseUnreadable(manifest);
  const written = await vault.store.create(manifestName(vmId, pointId), canonicalJsonBytes(manifest), signal);

  const after = await readManifest(vault, vmId, pointId, signal);
  if (after.kind === "absent") {
    throw new FarsideError("conflict", `The manifest of restore point ${pointId} is gone just after it was written.`, {
      details: { vmId, pointId },
    });
  }
  const settled = await settle(vault, body, after, signal);
  return { kind: written.kind === "created" ? "committed" : "already", manifest: settled };
}

/** What no reader would take must not become a restore point: a defect of the caller, told here rather than at a restore. */
function refuseUnreadable(manifest: Manifest): void {
  try {
    parseManifest(manifestName(manifest.vmId, manifest.pointId), { ...manifest });
  } catch (error) {
    const field = String(defectOf(error)?.found ?? "");
    throw new FarsideError(
      "internal",
      `The manifest of restore point ${manifest.pointId} has a wrong field "${field}".`,
      {
        cause: error,
        details: { field },
      },
    );
  }
}

/** What stands in the place is this attempt's and counts: seals it. */
async function settle(
  vault: OpenVault,
  body: ManifestBody,
  found: Exclude<ReadManifest, { kind: "absent" }>,
  signal: AbortSignal,
): Promise<Manifest> {
  const { manifest } = found;
  if (manifest.runId !== body.runId || manifest.attemptId !== body.attemptId) {
    throw new FarsideError(
      "conflict",
      `The restore point ${body.pointId} was committed by attempt ${manifest.attemptId}, not ${body.attemptId}.`,
      { details: { vmId: body.vmId, pointId: body.pointId, committedBy: manifest.attemptId } },
    );
  }
  if (found.kind === "void") {
    throw tooOld(body, `its manifest was written at ${found.lastModified}, too late to count`);
  }
  if (!found.sealed) await writeSeal(vault, manifest, found.lastModified, signal);
  return manifest;
}

async function refuseIfTooOld(
  vault: OpenVault,
  body: ManifestBody,
  options: CommitOptions,
  signal: AbortSignal,
): Promise<void> {
  const now = await serviceTime(vault, body.attemptId, signal);
  if (isTooLate(body.sessionStartedAt, now)) throw tooOld(body, `it is ${now} now`);
  if (body.parentPointId === undefined) return;
  const tombstone = await vault.store.head(tombstoneName(body.vmId, body.parentPointId), signal);
  const gone = [options.parentTombstonedAt, tombstone?.lastModified].find(
    (at) => at !== undefined && isParentGone(at, now),
  );
  if (gone !== undefined) throw tooOld(body, `its parent ${body.parentPointId} has expired at ${gone}`);
}

function tooOld(body: ManifestBody, why: string): FarsideError {
  return new FarsideError(
    "session-too-old",
    `The session of attempt ${body.attemptId}, begun at ${body.sessionStartedAt}, cannot commit: ${why}. Run the backup again.`,
    { details: { vmId: body.vmId, pointId: body.pointId, sessionStartedAt: body.sessionStartedAt } },
  );
}

/** The `mac` of the VM's newest restore point before this one that counts, expired or not. */
async function findPreviousMac(vault: OpenVault, body: ManifestBody, signal: AbortSignal): Promise<string | undefined> {
  const { points } = await listPointBlobs(vault, body.vmId, signal);
  for (const point of points.toReversed()) {
    if (point.pointId >= body.pointId) continue;
    const mac = await macOf(vault, point, signal);
    if (mac !== undefined) return mac;
  }
  return undefined;
}

async function macOf(vault: OpenVault, point: PointBlobs, signal: AbortSignal): Promise<string | undefined> {
  try {
    const found = await readManifest(vault, point.vmId, point.pointId, signal);
    if (found.kind === "standing") return found.manifest.mac;
    if (found.kind === "void" || point.tombstone === undefined) return undefined;
    return (await readTombstone(vault, point.vmId, point.pointId, signal))?.tombstone.manifestMac;
  } catch (error) {
    // A damaged one must not stop every backup after it: verify tells of it.
    if (defectOf(error) === undefined) throw error;
    return undefined;
  }
}
