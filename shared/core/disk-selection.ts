/**
 * Which disks of a VM are backed up.
 *
 * 1. Without an `include` rule all disks are meant, else those that one of them matches. What an `exclude` rule matches, or what is tagged
 *    `farside-exclude`, is left out in any case: of two people's wishes, the one that keeps bytes from being copied wins.
 * 2. A rule that matches no disk is told and is no error: disks come and go.
 * 3. The OS disk has no LUN, and follows the other rules like any disk.
 */
import { FarsideError } from "./errors.ts";
import { quote } from "./ids.ts";

export type DiskRule =
  /** Of the disk resource: upper and lower case are the same, `*` stands for any letters. */
  | { readonly kind: "name"; readonly pattern: string }
  | { readonly kind: "lun"; readonly lun: number }
  /** Of the disk resource, not of the VM. Without a value any will do; tag names do not tell upper case from lower, values do. */
  | { readonly kind: "tag"; readonly name: string; readonly value?: string };

export interface DiskRules {
  readonly include?: readonly DiskRule[];
  readonly exclude?: readonly DiskRule[];
}

export interface SelectableDisk {
  /** The resource's own name, and the one that it has here where that differs. */
  readonly names: readonly string[];
  /** Undefined for the OS disk. */
  readonly lun: number | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

export interface DiskSelection<Disk> {
  readonly chosen: readonly Disk[];
  readonly left: readonly { readonly disk: Disk; readonly reason: string }[];
  /** Rules that match nothing, as a person writes them. */
  readonly idle: readonly string[];
}

/** Whoever may tag a disk may leave it out, without access to Farside: `farside-exclude` with the value `true`. */
export const excludeTag = "farside-exclude";

export function selectDisks<Disk extends SelectableDisk>(
  disks: readonly Disk[],
  { include = [], exclude = [] }: DiskRules,
): DiskSelection<Disk> {
  const chosen: Disk[] = [];
  const left: { disk: Disk; reason: string }[] = [];
  for (const disk of disks) {
    const reason = whyLeft(disk, include, exclude);
    if (reason === undefined) chosen.push(disk);
    else left.push({ disk, reason });
  }
  const idle = [...include, ...exclude].filter((rule) => !disks.some((disk) => matches(rule, disk)));
  return { chosen, left, idle: idle.map(diskRuleText) };
}

function whyLeft(disk: SelectableDisk, include: readonly DiskRule[], exclude: readonly DiskRule[]): string | undefined {
  const excluding = exclude.find((rule) => matches(rule, disk));
  if (excluding !== undefined) return `excluded by ${diskRuleText(excluding)}`;
  // PowerShell and Terraform write True.
  if (tagOf(disk.tags, excludeTag)?.toLowerCase() === "true") return `tagged ${excludeTag}`;
  if (include.length === 0 || include.some((rule) => matches(rule, disk))) return undefined;
  return `not among the included (${include.map(diskRuleText).join(", ")})`;
}

function matches(rule: DiskRule, { names, lun, tags }: SelectableDisk): boolean {
  switch (rule.kind) {
    case "name":
      return names.some((name) => matchesName(rule.pattern.toLowerCase(), name.toLowerCase()));
    case "lun":
      return lun === rule.lun;
    case "tag": {
      const value = tagOf(tags, rule.name);
      return value !== undefined && (rule.value === undefined || rule.value === value);
    }
    default:
      return rule satisfies never;
  }
}

/** The value of a tag, whose name does not tell upper case from lower. */
export function tagOf(tags: Readonly<Record<string, string>>, name: string): string | undefined {
  const wanted = name.toLowerCase();
  return Object.entries(tags).find(([key]) => key.toLowerCase() === wanted)?.[1];
}

function matchesName(pattern: string, name: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return name === first;
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
  // In order, each as early as it can be: what is left is then the most for the others.
  let from = first.length;
  const end = name.length - last.length;
  return rest.every((part) => {
    const at = name.indexOf(part, from);
    from = at + part.length;
    return at >= 0 && from <= end;
  });
}

// The longest name of a managed disk, and of a tag with its value.
const longestName = 80;
const longestTag = 512;
const longestValue = 256;
/** The highest LUN of the largest sizes. */
const highestLun = 63;

/** `NAME`, `lun:N` or `tag:KEY[=VALUE]`, as the command line has it. Throws `bad-input`. */
export function parseDiskRule(text: string): DiskRule {
  const lun = /^lun:(.*)$/i.exec(text)?.[1];
  if (lun !== undefined) {
    if (/^\d{1,2}$/.test(lun) && Number(lun) <= highestLun) return { kind: "lun", lun: Number(lun) };
    throw noRule(text, `a LUN is a number from 0 to ${highestLun}`);
  }
  const tag = /^tag:(.*)$/is.exec(text)?.[1];
  if (tag === undefined) {
    if (text.length <= longestName && /^[\p{L}\p{N}._*-]+$/u.test(text)) return { kind: "name", pattern: text };
    throw noRule(
      text,
      `a disk's name has up to ${longestName} letters, digits, ".", "_", "-", and "*" for any of them`,
    );
  }
  const [name = "", ...rest] = tag.split("=");
  const value = rest.length === 0 ? undefined : rest.join("=");
  if (name.trim() === "" || name.length > longestTag || (value?.length ?? 0) > longestValue)
    throw noRule(text, "a tag is written as tag:KEY or tag:KEY=VALUE");
  return { kind: "tag", name, ...(value === undefined ? {} : { value }) };
}

export function diskRuleText(rule: DiskRule): string {
  switch (rule.kind) {
    case "name":
      return rule.pattern;
    case "lun":
      return `lun:${rule.lun}`;
    case "tag":
      return `tag:${rule.name}${rule.value === undefined ? "" : `=${rule.value}`}`;
    default:
      return rule satisfies never;
  }
}

function noRule(text: string, why: string): FarsideError {
  return new FarsideError("bad-input", `${quote(text)} names no disks: ${why}.`, {
    details: { value: text.slice(0, 200) },
  });
}
