import { diskRuleText, parseDiskRule, type DiskRule, type DiskRules } from "../../shared/core/disk-selection.ts";
import { FarsideError } from "../../shared/core/errors.ts";

export interface RuleFlags {
  readonly includeDisk?: readonly string[];
  readonly excludeDisk?: readonly string[];
}

/** Of a VM of Azure; undefined where nothing is said of its disks. */
export function rulesOf({ includeDisk, excludeDisk }: RuleFlags): DiskRules | undefined {
  if (includeDisk === undefined && excludeDisk === undefined) return undefined;
  return {
    ...(includeDisk === undefined ? {} : { include: includeDisk.map(parseDiskRule) }),
    ...(excludeDisk === undefined ? {} : { exclude: excludeDisk.map(parseDiskRule) }),
  };
}

/** Page blobs have no LUN, no tags, and no others than those given: what is left out is not given, or named. */
export function refuseRules({ includeDisk, excludeDisk = [] }: RuleFlags): void {
  const rule = excludeDisk.find((text) => /^(?:lun|tag):|\*/i.test(text));
  if (includeDisk === undefined && rule === undefined) return;
  throw new FarsideError(
    "bad-input",
    `${includeDisk === undefined ? `--exclude-disk ${rule}` : "--include-disk"} chooses among the disks that a VM of Azure has (--resource-id): of page blobs give those that are wanted by --disk.`,
  );
}

export function rulesText(rules: readonly DiskRule[] | undefined): string | undefined {
  return rules?.map(diskRuleText).join(", ");
}
