import type { PointId, VmId } from "../../core/ids.ts";
import type { ChainLink } from "../../core/vault/chain.ts";
import { findChainBreaks } from "../../core/vault/chain.ts";
import type { Defect } from "../../core/vault/corrupt.ts";
import { corrupt, defectOf } from "../../core/vault/corrupt.ts";
import type { Manifest } from "../../core/vault/manifest.ts";
import { manifestName, sealName, tombstoneName } from "../../core/vault/names.ts";
import type { Tombstone } from "../../core/vault/seal.ts";
import type { Finding, FindingCode } from "./findings.ts";
import { entriesOf, listPointBlobs, readEntries } from "./list-restore-points.ts";
import type { PointBlobs, RestorePoint } from "./list-restore-points.ts";
import { mapOrdered } from "./map-ordered.ts";
import type { OpenVault } from "./open-vault.ts";
import { readTombstone } from "./read-seal.ts";

/** A restore point that counts and has not expired: all of its data must be there. */
export interface LivePoint {
  readonly vmId: VmId;
  readonly pointId: PointId;
  readonly manifest: Manifest;
}

/** Everything below the VMs' folders: manifests, seals, tombstones, and the chain that they make. */
export async function checkRestorePoints(
  vault: OpenVault,
  vmIds: readonly VmId[],
  parallelism: number,
  signal: AbortSignal,
): Promise<{ readonly live: readonly LivePoint[]; readonly findings: readonly Finding[] }> {
  const live: LivePoint[] = [];
  const findings: Finding[] = [];
  for (const vmId of vmIds) {
    const { points, unknown } = await listPointBlobs(vault, vmId, signal);
    findings.push(...unknown.map(unexpectedBlob));
    const read = new Map<PointId, RestorePoint>();
    for await (const point of readEntries(vault, entriesOf(points), signal)) read.set(point.pointId, point);

    const links: ChainLink[] = [];
    const judge = async (point: PointBlobs, aborted: AbortSignal) =>
      judgePoint(vault, point, read.get(point.pointId), aborted);
    for await (const verdict of mapOrdered(points, parallelism, judge, signal)) {
      findings.push(...verdict.findings);
      if (verdict.link !== undefined) links.push(verdict.link);
      if (verdict.live !== undefined) live.push(verdict.live);
    }
    for (const { pointId, what } of findChainBreaks(links)) {
      const object = manifestName(vmId, pointId);
      const message = `${object} breaks the chain of restore points: ${what}.`;
      findings.push({ severity: "error", code: "chain-broken", object, reason: "chain", message, affected: [] });
    }
  }
  return { live, findings };
}

export function unexpectedBlob(object: string): Finding {
  const message = `${object} is none of the names of the format: it is passed over.`;
  return { severity: "warning", code: "unexpected-blob", object, reason: "unknown-name", message, affected: [] };
}

interface Verdict {
  readonly findings: readonly Finding[];
  /** Its place in the chain; a void point has none. */
  readonly link?: ChainLink;
  readonly live?: LivePoint;
}

async function judgePoint(
  vault: OpenVault,
  blobs: PointBlobs,
  read: RestorePoint | undefined,
  signal: AbortSignal,
): Promise<Verdict> {
  const { vmId, pointId } = blobs;
  const findings: Finding[] = [];
  const manifest = read === undefined || read.kind === "corrupt" ? undefined : read.manifest;
  const tombstone =
    blobs.tombstone === undefined ? undefined : await judgeTombstone(vault, blobs, manifest, findings, signal);
  const buried: ChainLink | undefined =
    tombstone === undefined ? undefined : { pointId, kind: "tombstone", mac: tombstone.manifestMac };

  if (read === undefined) {
    if (buried !== undefined) return { findings, link: buried };
    // A seal without its manifest: it stood once, and nothing says that it expired.
    if (blobs.seal !== undefined && blobs.tombstone === undefined && blobs.manifest === undefined) {
      const object = manifestName(vmId, pointId);
      const message = `${object} is missing: its seal ${sealName(vmId, pointId)} stands, and no tombstone.`;
      findings.push({
        ...whole(vmId, pointId),
        severity: "error",
        code: "manifest-corrupt",
        object,
        reason: "missing",
        message,
      });
    }
    return { findings, link: { pointId, kind: "damaged" } };
  }
  if (read.kind === "corrupt") {
    const severity = buried === undefined ? "error" : "warning";
    findings.push({ ...describe(read.defect, "manifest-corrupt"), ...whole(vmId, pointId), severity });
    return { findings, link: buried ?? { pointId, kind: "damaged" } };
  }
  if (read.sealDefect !== undefined) findings.push({ ...describe(read.sealDefect, "seal-corrupt"), affected: [] });
  if (read.kind === "void") {
    const object = manifestName(vmId, pointId);
    const message = `${object} was written at ${read.lastModified}, more than a day after its session began at ${read.manifest.sessionStartedAt}, and is not sealed: it counts for nothing.`;
    findings.push({ severity: "warning", code: "manifest-void", object, reason: "late", message, affected: [] });
    return { findings };
  }
  if (!read.sealed && read.sealDefect === undefined) {
    const object = sealName(vmId, pointId);
    const message = `${object} is missing: the restore point counts here, and would not in a copy of the vault. The service seals it in time.`;
    findings.push({ severity: "warning", code: "seal-missing", object, reason: "unsealed", message, affected: [] });
  }
  return {
    findings,
    link: linkOf(read.manifest),
    ...(tombstone === undefined ? { live: { vmId, pointId, manifest: read.manifest } } : {}),
  };
}

async function judgeTombstone(
  vault: OpenVault,
  { vmId, pointId }: PointBlobs,
  manifest: Manifest | undefined,
  findings: Finding[],
  signal: AbortSignal,
): Promise<Tombstone | undefined> {
  try {
    const found = await readTombstone(vault, vmId, pointId, signal);
    if (found === undefined || manifest === undefined || found.tombstone.manifestMac === manifest.mac)
      return found?.tombstone;
    const object = tombstoneName(vmId, pointId);
    throw corrupt({ object, reason: "wrong-path" }, "it is of another manifest");
  } catch (error) {
    const defect = defectOf(error);
    if (defect === undefined) throw error;
    findings.push({ ...describe(defect, "tombstone-corrupt"), affected: [] });
    return undefined;
  }
}

function linkOf(manifest: Manifest): ChainLink {
  const { pointId, mac, previousMac, keyEpoch = 0 } = manifest;
  return { pointId, kind: "manifest", mac, keyEpoch, ...(previousMac === undefined ? {} : { previousMac }) };
}

function describe(defect: Defect, code: FindingCode): Omit<Finding, "affected"> & { readonly severity: "error" } {
  const { object, reason } = defect;
  return { severity: "error", code, object, reason, message: messageOf(defect) };
}

/** A defect in words, with what was expected and found where that is known. */
export function messageOf({ object, reason, expected, found }: Defect): string {
  const facts = [
    expected === undefined ? undefined : `expected ${expected}`,
    found === undefined ? undefined : `found ${found}`,
  ].filter((fact) => fact !== undefined);
  return `${object}: ${reason}${facts.length === 0 ? "" : ` (${facts.join(", ")})`}.`;
}

/** A restore point as a whole, all of its disks. */
function whole(vmId: VmId, pointId: PointId): Pick<Finding, "affected"> {
  return { affected: [{ vmId, pointId, ranges: [] }] };
}
