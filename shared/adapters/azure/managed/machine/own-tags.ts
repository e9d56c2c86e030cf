/** The tags by which a restore knows what is its own: everything that it makes bears them from the first request on. */
import type { RunId } from "../../../../core/ids.ts";
import type { MachineRestore } from "../../../../ports/machine-target.ts";

export const ownTags = {
  run: "farside-run",
  vm: "farside-vm",
  point: "farside-point",
  /** On a disk that takes another's place: `<group>/<name>` of that one. */
  former: "farside-former",
  /** On a disk of an exchange, while the VM is stopped for it: it ran before, and is started again. */
  restart: "farside-restart",
} as const;

export type Tags = Readonly<Record<string, string>>;

/** "Each resource can have a maximum of 50 tag name-value pairs" (Azure Resource Manager, "Use tags"). */
const mostTags = 50;

/** What it had, without the tags of a restore that made it, and this run's own. */
export function tagsOf(restore: MachineRestore, before: Tags, more: Tags = {}): Tags {
  const own = {
    [ownTags.run]: restore.runId,
    [ownTags.vm]: restore.vm,
    [ownTags.point]: restore.pointId,
    ...more,
  };
  const kept = withoutOwn(before).slice(0, mostTags - Object.keys(ownTags).length);
  return { ...Object.fromEntries(kept), ...own };
}

/** How many of them `tagsOf` leaves out. */
export function lostTags(before: Tags): number {
  return Math.max(0, withoutOwn(before).length - (mostTags - Object.keys(ownTags).length));
}

export function isOwn(tags: Tags | undefined, runId: RunId): boolean {
  return tagOf(tags, ownTags.run) === runId;
}

/** Names of tags do not tell upper case from lower. */
export function tagOf(tags: Tags | undefined, name: string): string | undefined {
  return Object.entries(tags ?? {}).find(([key]) => key.toLowerCase() === name)?.[1];
}

function withoutOwn(tags: Tags): (readonly [string, string])[] {
  const own: readonly string[] = Object.values(ownTags);
  return Object.entries(tags).filter(([name]) => !own.includes(name.toLowerCase()));
}
