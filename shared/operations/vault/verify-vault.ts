/**
 * Verifies a vault: is all there that its restore points refer to, and can it be read?
 *
 * 1. The way down: restore points → manifests and their chain → disk indexes → segments → chunks → configurations. What several
 *    refer to is looked at once. Indexes, segments and manifests are read and decoded always; chunks are looked for (there, and of a length
 *    that they can have), and read and decoded where asked.
 * 2. The way up: one damaged object names every restore point, disk and byte range that it hits.
 * 3. Void restore points count for nothing, and expired ones only as links of the chain.
 * 4. Memory: a table of the distinct chunks' ids, at most 111 bytes each and `maxChunksInMemory` of them (a million: 111 MB, half as
 *    much again while it grows), beyond which the chunks are gone through in several passes by their first byte; about 400 bytes a
 *    distinct segment (one for each GiB of distinct disk); about 2 KiB a restore point and 1 KiB a disk of it; one disk index
 *    and 1,024 ids for each request at once; and the findings, at most `maxFindings` objects.
 */
import type { VmId } from "../../core/ids.ts";
import { parseVmFolder, restorePointPrefix } from "../../core/vault/names.ts";
import { checkChunks } from "./check-chunks.ts";
import { checkIndexes } from "./check-indexes.ts";
import { checkRestorePoints, unexpectedBlob } from "./check-restore-points.ts";
import { Damages, traceDamages } from "./trace-damages.ts";
import type { Finding, VerifyReport } from "./findings.ts";
import { readKeySlots } from "./list-key-slots.ts";
import type { OpenVault } from "./open-vault.ts";

export interface VerifyOptions {
  /** Reads and decodes every distinct chunk once. */
  readonly readData?: boolean;
  /** Reads and decodes about this share of the distinct chunks, 0 to 100, by chance: another share each time. */
  readonly samplePercent?: number;
  /** Requests at once; 8 where left out. */
  readonly parallelism?: number;
  /** Damaged objects told one by one; 1,000 where left out. */
  readonly maxFindings?: number;
  /** See rule 4; 1,000,000 where left out. */
  readonly maxChunksInMemory?: number;
  /** Up to so many chunks of one first byte are looked for one by one, more by listing all that begin with it; 16 where left out. */
  readonly headsPerFirstByte?: number;
  readonly onProgress?: (progress: VerifyProgress) => void;
}

export interface VerifyProgress {
  /** Distinct chunks that were found there, and of these, where asked, read and decoded. */
  readonly chunks: number;
  readonly readChunks: number;
  readonly readBytes: number;
}

/** Damage is in the report, never thrown; what is thrown is what the store throws, and the signal's reason. */
export async function verifyVault(
  vault: OpenVault,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const findings = await checkKeySlots(vault, signal);
  const vmIds: VmId[] = [];
  for await (const folder of vault.store.listFolders(restorePointPrefix, signal)) {
    const vmId = parseVmFolder(folder);
    if (vmId === undefined) findings.push(unexpectedBlob(folder));
    else vmIds.push(vmId);
  }
  return verifyVms(vault, vmIds, findings, options, signal);
}

/** As `verifyVault`, of some VMs; `findings` are those that are known already. */
export async function verifyVms(
  vault: OpenVault,
  vmIds: readonly VmId[],
  findings: readonly Finding[],
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const { parallelism = 8, maxFindings = 1000 } = options;
  const points = await checkRestorePoints(vault, vmIds, parallelism, signal);
  const damages = new Damages(maxFindings);
  const indexes = await checkIndexes(vault, points.live, damages, parallelism, signal);
  const chunks = await checkChunks(vault, indexes.segments, damages, { ...options, parallelism }, signal);
  const traced = await traceDamages(vault, points.live, damages, signal);
  return {
    findings: [...findings, ...points.findings, ...traced],
    untold: damages.untold,
    checked: {
      vms: vmIds.length,
      restorePoints: points.live.length,
      disks: points.live.reduce((count, point) => count + point.manifest.disks.length, 0),
      segments: indexes.segments.length,
      ...chunks,
    },
  };
}

async function checkKeySlots(vault: OpenVault, signal: AbortSignal): Promise<Finding[]> {
  if (vault.keys.kind === "none") return [];
  const { defects } = await readKeySlots(vault.store, vault.descriptor.vaultId, signal);
  return defects.map((defect) => ({
    severity: defect.reason === "other-vault" ? "warning" : "error",
    code: "key-slot-corrupt",
    object: defect.object,
    reason: defect.reason,
    message: `${defect.object} cannot open the vault (${defect.reason}); another slot did. Remove it and add its passphrase anew.`,
    affected: [],
  }));
}
