/** What verifying a vault finds. The codes are stable. */
import type { DiskName, PointId, VmId } from "../../core/ids.ts";
import type { DefectReason } from "../../core/vault/corrupt.ts";

export type FindingCode =
  | "chunk-missing"
  | "chunk-corrupt"
  | "segment-missing"
  | "segment-corrupt"
  | "index-missing"
  | "index-corrupt"
  | "document-missing"
  | "document-corrupt"
  | "manifest-corrupt"
  | "manifest-void"
  | "seal-missing"
  | "seal-corrupt"
  | "tombstone-corrupt"
  | "chain-broken"
  | "key-slot-corrupt"
  | "unexpected-blob";

/** Of a disk; `toByte` is not part of it. */
export interface ByteRange {
  readonly fromByte: number;
  readonly toByte: number;
}

export interface AffectedDisk {
  readonly vmId: VmId;
  readonly pointId: PointId;
  /** Absent where the restore point as a whole is affected, all its disks. */
  readonly disk?: DiskName;
  /** Not the disk itself, but the firmware variables and virtual TPM that go with it. */
  readonly part?: "guest-state";
  readonly ranges: readonly ByteRange[];
}

export interface Finding {
  /** `error`: data or proof is lost. `warning`: nothing is lost, and somebody should know. */
  readonly severity: "error" | "warning";
  readonly code: FindingCode;
  /** The blob's name. */
  readonly object: string;
  readonly reason: DefectReason | "late" | "unsealed" | "chain" | "unknown-name";
  /** For people: what was expected, what was found. */
  readonly message: string;
  readonly affected: readonly AffectedDisk[];
}

export interface VerifyReport {
  readonly findings: readonly Finding[];
  /** Damaged objects beyond `maxFindings`, counted and not told one by one. */
  readonly untold: number;
  readonly checked: {
    readonly vms: number;
    readonly restorePoints: number;
    readonly disks: number;
    readonly segments: number;
    readonly chunks: number;
    /** Chunks that were read and decoded, and their plain bytes. */
    readonly readChunks: number;
    readonly readBytes: number;
  };
}

/** Whether nothing is lost: warnings do not count. */
export function isWhole(report: VerifyReport): boolean {
  return report.untold === 0 && report.findings.every((finding) => finding.severity !== "error");
}
