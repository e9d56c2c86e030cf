/** What a person wants for a group of VMs: when, how consistent, how long kept. */
import type { ConsistencyLevel } from "./consistency.ts";
import type { PolicyName } from "./ids.ts";
import type { Timestamp } from "./timestamp.ts";

export interface Schedule {
  /** Five fields (minute hour day month weekday), or six with seconds before them. */
  readonly cron: string;
  /** An IANA name; the schedule is right across both changes of the clock. */
  readonly timeZone: string;
  /** VMs of one policy are spread over this many seconds after the instant, each always at its own place. */
  readonly jitterSeconds: number;
}

/** How many restore points are kept of each kind; at least one number is above zero. */
export interface Retention {
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
}

export interface Policy {
  readonly name: PolicyName;
  /** Without one, its VMs are backed up only on demand. */
  readonly schedule?: Schedule;
  readonly retention: Retention;
  readonly consistency: { readonly wanted: ConsistencyLevel; readonly least: ConsistencyLevel };
  /** The oldest the newest restore point may become before the VM counts as late. */
  readonly rpoSeconds: number;
  /** How long a run may be put off while its VM is not safe to back up. */
  readonly retryWindowSeconds: number;
  /** The guest thaws by itself after this long, whatever happens to us. */
  readonly freezeTtlSeconds: number;
  /** Stop a VM that runs for its snapshots, and start it again; absent: no. Only of sources that can. */
  readonly shutdown?: boolean;
  /** Ask that replication of the VM be paused for the backup. */
  readonly pauseReplication: boolean;
  /** A domain controller that would suffer USN rollback: back up with a mark, or fail. */
  readonly usnRollback: "warn" | "fail";
  /** For so many days a restore point's snapshots stay at the source too, for quick restores. Absent in rows of older releases: none. */
  readonly instantRestoreDays?: number;
  readonly createdAt: Timestamp;
  readonly updatedAt: Timestamp;
}
