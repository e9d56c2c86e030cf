import { describe, expect, test } from "vitest";
import type { ConsistencyLevel } from "../../../shared/core/consistency.ts";
import {
  safetyTable,
  usnRollbackSafety,
  windowsGeneration,
  type SafetyRow,
} from "../../../shared/core/usn-rollback.ts";

const dc = { role: "domain-controller", osType: "windows", powerState: "running" } as const;

describe("The risk of USN rollback", () => {
  test.each([
    ["2000", true],
    ["2003 R2", true],
    ["2008", true],
    ["Windows Server 2008 R2 Datacenter", true],
    ["6.0.6003", true],
    ["6.1.7601", true],
    ["6.2.9200", false],
    ["6.3", false],
    ["10.0.20348", false],
    ["2012", false],
    ["Windows Server 2012 R2", false],
    ["2025", false],
    ["whatever", true],
    [undefined, true],
  ])("of a domain controller on %s that was backed up without VSS is %s", (osVersion, risk) => {
    const version = osVersion === undefined ? {} : { osVersion };
    for (const achieved of ["crash", "filesystem"] as const) {
      expect(usnRollbackSafety({ ...dc, ...version, achieved }).usnRollbackRisk).toBe(risk);
    }
    expect(
      usnRollbackSafety({ ...dc, ...version, powerState: "stopped", achieved: "filesystem" }).usnRollbackRisk,
    ).toBe(risk);
    expect(usnRollbackSafety({ ...dc, ...version, achieved: "application" })).toEqual({ usnRollbackRisk: false });
  });

  test("is none for a VM that is no Windows domain controller", () => {
    const old = { osVersion: "2003", achieved: "crash", powerState: "running" } as const;
    expect(usnRollbackSafety({ ...old, osType: "windows" }).usnRollbackRisk).toBe(false);
    expect(usnRollbackSafety({ ...old, role: "domain-controller", osType: "linux" }).usnRollbackRisk).toBe(false);
  });

  test("says in its note how the backup was made and why that is a risk", () => {
    const safety = usnRollbackSafety({ ...dc, osVersion: "2008 R2", powerState: "stopped", achieved: "filesystem" });
    expect(safety.note).toBe(
      "A domain controller that was backed up while it was off: Windows Server 2008 R2 does not know VM-GenerationID. Restoring it can cause USN rollback.",
    );
  });
});

/** Written down again by hand, from what VSS and VM-GenerationID are: the table must say the same. */
const expected: readonly (readonly [string, SafetyRow["vm"], ConsistencyLevel, boolean, boolean])[] = [
  ["2008 R2", "running", "application", true, true],
  ["2008 R2", "running", "filesystem", false, false],
  ["2008 R2", "running", "crash", false, false],
  ["2008 R2", "stopped", "application", false, false],
  ["2008 R2", "stopped", "filesystem", false, false],
  ["2008 R2", "stopped", "crash", false, false],
  ["2012 R2", "running", "application", true, true],
  ["2012 R2", "running", "filesystem", false, true],
  ["2012 R2", "running", "crash", false, true],
  ["2012 R2", "stopped", "application", false, true],
  ["2012 R2", "stopped", "filesystem", false, true],
  ["2012 R2", "stopped", "crash", false, true],
  ["Server", "running", "application", true, true],
  ["Server", "running", "filesystem", false, false],
  ["Server", "running", "crash", false, false],
  ["Server", "stopped", "application", false, false],
  ["Server", "stopped", "filesystem", false, false],
  ["Server", "stopped", "crash", false, false],
];

describe("The safety table of domain controllers", () => {
  test.each(expected)(
    "of %s, %s, %s-consistent",
    (osVersion, vm, backup, vssTriggered, activeDirectoryRestoredWell) => {
      const windows = windowsGeneration(osVersion);
      const rows = safetyTable.filter((row) => row.windows === windows && row.vm === vm && row.backup === backup);
      expect(rows).toEqual([{ windows, vm, backup, vssTriggered, activeDirectoryRestoredWell }]);
      const facts = {
        role: "domain-controller",
        osType: "windows",
        osVersion,
        powerState: vm,
        achieved: backup,
      } as const;
      expect(usnRollbackSafety(facts).usnRollbackRisk).toBe(!activeDirectoryRestoredWell);
    },
  );

  test("has these rows and no other", () => {
    expect(safetyTable).toHaveLength(expected.length);
  });
});
