/**
 * USN rollback: what happens when a domain controller is put back to an earlier state without knowing it. Its partners
 * then ignore its changes, silently and for good.
 *
 * | Windows Server      | backed up with VSS (application) | crash-consistent, or VM off |
 * |---------------------|----------------------------------|-----------------------------|
 * | 2008 R2 and older   | safe: the writer marks the copy  | **at risk**                 |
 * | 2012 and newer      | safe                             | safe: VM-GenerationID       |
 * | unknown             | safe                             | **at risk**, until told     |
 *
 * Only Windows domain controllers are judged: `role` says which VMs are.
 */
import type { ConsistencyLevel } from "./consistency.ts";
import type { ProtectedVm } from "./vm.ts";
import type { ManifestSafety } from "./vault/manifest.ts";

export type UsnFacts = Pick<ProtectedVm, "role" | "osType" | "osVersion"> & {
  readonly powerState: "running" | "stopped" | "unknown";
  readonly achieved: ConsistencyLevel;
};

export function usnRollbackSafety(facts: UsnFacts): ManifestSafety {
  if (facts.role !== "domain-controller" || facts.osType === "linux") return { usnRollbackRisk: false };
  // VSS needs a running guest: a stopped one was never asked, whatever its disks look like.
  if (facts.achieved === "application" && facts.powerState !== "stopped") return { usnRollbackRisk: false };
  const generationId = knowsGenerationId(facts.osVersion);
  if (generationId === "yes") return { usnRollbackRisk: false };
  const how = facts.powerState === "stopped" ? "while it was off" : "without VSS";
  const version =
    generationId === "no"
      ? `Windows Server ${facts.osVersion ?? ""} does not know VM-GenerationID`
      : "its Windows version is not known, so it may not know VM-GenerationID";
  return {
    usnRollbackRisk: true,
    note: `A domain controller that was backed up ${how}: ${version}. Restoring it can cause USN rollback.`,
  };
}

/** `version` as people and platforms write it: "2008 R2", "Windows Server 2012 R2 Datacenter", "6.1.7601", "10.0.20348". */
function knowsGenerationId(version: string | undefined): "yes" | "no" | "unknown" {
  if (version === undefined) return "unknown";
  const year = /\b(20\d\d)\b/.exec(version)?.[1];
  if (year !== undefined) return Number(year) >= 2012 ? "yes" : "no";
  const kernel = /^\s*(\d{1,2})\.(\d{1,2})(?:\.|\s|$)/.exec(version);
  if (kernel === null) return "unknown";
  const [major, minor] = [Number(kernel[1]), Number(kernel[2])];
  if (major < 5 || (major > 6 && major < 10)) return "unknown";
  return major > 6 || (major === 6 && minor >= 2) ? "yes" : "no";
}
