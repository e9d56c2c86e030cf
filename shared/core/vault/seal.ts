import type { PointId, VmId } from "../ids.ts";
import type { Timestamp } from "../timestamp.ts";

/** seal.json: keeps the verdict that a manifest came in time (rule W5), so that it outlives a copy of the vault. */
export interface Seal {
  readonly formatVersion: 1;
  readonly pointId: PointId;
  readonly manifestMac: string;
  /** What the service said when it was sealed. */
  readonly manifestLastModified: Timestamp;
  readonly mac: string;
}

/**
 * tombstone.json: says that a restore point has expired. It stays when the manifest goes, for as long as the restore point after it
 * stands, and so keeps the chain of macs whole: a manifest that is gone without a tombstone was taken away.
 */
export interface Tombstone {
  readonly formatVersion: 1;
  readonly vaultId: string;
  readonly vmId: VmId;
  readonly pointId: PointId;
  readonly manifestMac: string;
  /** Why, in words: a policy's retention, a person's request. */
  readonly reason: string;
  readonly mac: string;
}
