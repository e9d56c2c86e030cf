/**
 * USN rollback: what happens when a domain controller is put back to an earlier state without knowing it. Its partners
 * then ignore its changes, silently and for good.
 *
 * It knows in one of two ways: its VSS writer marked the copy, which needs a running guest and a backup that asks for it; or it sees
 * another VM-GenerationID, which Windows Server 2012 brought (Microsoft, "Virtualized domain controller architecture"). A version that is
 * not known is judged like one that knows no VM-GenerationID, until somebody tells.
 *
 * Only Windows domain controllers are judged: `role` says which VMs are.
 */
import type { ConsistencyLevel } from "./consistency.ts";
import type { ProtectedVm } from "./vm.ts";
import type { ManifestSafety } from "./vault/manifest.ts";

export type WindowsGeneration = "2008-r2-and-older" | "2012-and-newer" | "unknown";

export interface SafetyRow {
  readonly windows: WindowsGeneration;
  readonly vm: "running" | "stopped";
  readonly backup: ConsistencyLevel;
  readonly vssTriggered: boolean;
  readonly activeDirectoryRestoredWell: boolean;
}

type Cells = readonly [WindowsGeneration, SafetyRow["vm"], ConsistencyLevel, "VSS" | "-", "well" | "AT RISK"];

/** Every case there is. A stopped guest was never asked, whatever level its disks have: their file systems are clean. */
const table: readonly Cells[] = [
  ["2008-r2-and-older", "running", "application", "VSS", "well"],
  ["2008-r2-and-older", "running", "filesystem", "-", "AT RISK"],
  ["2008-r2-and-older", "running", "crash", "-", "AT RISK"],
  ["2008-r2-and-older", "stopped", "application", "-", "AT RISK"],
  ["2008-r2-and-older", "stopped", "filesystem", "-", "AT RISK"],
  ["2008-r2-and-older", "stopped", "crash", "-", "AT RISK"],
  ["2012-and-newer", "running", "application", "VSS", "well"],
  ["2012-and-newer", "running", "filesystem", "-", "well"],
  ["2012-and-newer", "running", "crash", "-", "well"],
  ["2012-and-newer", "stopped", "application", "-", "well"],
  ["2012-and-newer", "stopped", "filesystem", "-", "well"],
  ["2012-and-newer", "stopped", "crash", "-", "well"],
  ["unknown", "running", "application", "VSS", "well"],
  ["unknown", "running", "filesystem", "-", "AT RISK"],
  ["unknown", "running", "crash", "-", "AT RISK"],
  ["unknown", "stopped", "application", "-", "AT RISK"],
  ["unknown", "stopped", "filesystem", "-", "AT RISK"],
  ["unknown", "stopped", "crash", "-", "AT RISK"],
];

export const safetyTable: readonly SafetyRow[] = table.map(([windows, vm, backup, vss, restored]) => ({
  windows,
  vm,
  backup,
  vssTriggered: vss === "VSS",
  activeDirectoryRestoredWell: restored === "well",
}));

export type UsnFacts = Pick<ProtectedVm, "role" | "osType" | "osVersion"> & {
  readonly powerState: "running" | "stopped" | "unknown";
  readonly achieved: ConsistencyLevel;
};

/** The mark that a restore point gets; a restore of a marked one is refused until the risk is accepted. */
export function usnRollbackSafety(facts: UsnFacts): ManifestSafety {
  if (facts.role !== "domain-controller" || facts.osType === "linux") return { usnRollbackRisk: false };
  const windows = windowsGeneration(facts.osVersion);
  // Nobody who is stopped can have answered a freeze: a VM of which nothing is known is judged by what was achieved.
  const vm = facts.powerState === "stopped" ? "stopped" : "running";
  const row = safetyTable.find((one) => one.windows === windows && one.vm === vm && one.backup === facts.achieved);
  if (row?.activeDirectoryRestoredWell === true) return { usnRollbackRisk: false };
  const how = vm === "stopped" ? "while it was off" : "without VSS";
  const version =
    windows === "unknown"
      ? "its Windows version is not known, so it may not know VM-GenerationID"
      : `Windows Server ${facts.osVersion ?? ""} does not know VM-GenerationID`;
  return {
    usnRollbackRisk: true,
    note: `A domain controller that was backed up ${how}: ${version}. Restoring it can cause USN rollback.`,
  };
}

/** `version` as people and platforms write it: "2008 R2", "Windows Server 2012 R2 Datacenter", "6.1.7601", "10.0.20348". */
export function windowsGeneration(version: string | undefined): WindowsGeneration {
  if (version === undefined) return "unknown";
  const year = /\b(20\d\d)\b/.exec(version)?.[1];
  if (year !== undefined) return Number(year) >= 2012 ? "2012-and-newer" : "2008-r2-and-older";
  const kernel = /^\s*(\d{1,2})\.(\d{1,2})(?:\.|\s|$)/.exec(version);
  if (kernel === null) return "unknown";
  const [major, minor] = [Number(kernel[1]), Number(kernel[2])];
  if (major < 5 || (major > 6 && major < 10)) return "unknown";
  return major > 6 || (major === 6 && minor >= 2) ? "2012-and-newer" : "2008-r2-and-older";
}
