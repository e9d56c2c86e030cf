/**
 * What follows from the VMs that were found and the VMs that are protected.
 *
 * 1. Whom a person protected is left alone, whatever its tag says.
 * 2. A VM loses its protection only where every scope that it lies in was listed to its end. What fails, is forbidden or cannot be read
 *    tells nothing of the VMs that it does not name.
 * 3. Where more than half of a scope's protected VMs would lose it at once, and more than a few, none of them does before a person has
 *    confirmed: more likely than so many owners, a policy engine took the tags away, or somebody our rights.
 * 4. A tag that names no policy protects nobody anew, and takes from nobody the policy that it has.
 */
import { isInScope, type DiscoveryScope } from "./discovery-scope.ts";
import { quote, type PolicyName } from "./ids.ts";
import type { VmResourceId } from "./resource-id.ts";
import type { ProtectedVm } from "./vm.ts";

export interface TaggedVm {
  readonly resourceId: VmResourceId;
  readonly name: string;
  /** Of the tag. */
  readonly value: string;
  readonly osType?: "linux" | "windows";
}

export interface ScopeListing {
  readonly scope: DiscoveryScope;
  readonly isComplete: boolean;
  /** None of an incomplete one. */
  readonly tagged: readonly TaggedVm[];
}

export type RemovalReason = "tag-gone" | "out-of-scope" | "protected-twice";

export type DiscoveryStep =
  | { readonly kind: "protect"; readonly vm: TaggedVm; readonly policy: PolicyName }
  | { readonly kind: "change-policy"; readonly row: ProtectedVm; readonly policy: PolicyName }
  | { readonly kind: "remove"; readonly row: ProtectedVm; readonly reason: RemovalReason }
  /** Nothing is done; a person should know. `row`: the VM as it is protected, where it is. */
  | {
      readonly kind: "tell";
      readonly finding: "manual" | "not-protected" | "policy-kept" | "removal-held";
      readonly resourceId: VmResourceId;
      readonly row?: ProtectedVm;
      readonly note: string;
    };

export interface DiscoveryFacts {
  readonly tag: string;
  readonly listings: readonly ScopeListing[];
  readonly rows: readonly ProtectedVm[];
  readonly policies: readonly PolicyName[];
  /** A person has confirmed that so many are to lose their protection. */
  readonly acceptRemovals: boolean;
}

export interface DiscoveryPlan {
  readonly steps: readonly DiscoveryStep[];
  /** Protected by their tags, and as they should be. */
  readonly unchanged: number;
}

/** As many may always go at once. */
const few = 3;

export function planDiscovery(facts: DiscoveryFacts): DiscoveryPlan {
  const tagged = new Map<string, TaggedVm>();
  for (const { tagged: found } of facts.listings) for (const vm of found) tagged.set(keyOf(vm.resourceId), vm);
  const rows = rowsByResource(facts.rows);
  const steps: DiscoveryStep[] = [];
  let unchanged = 0;
  for (const [key, vm] of [...tagged].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const step = stepOfTagged(vm, rows.get(key), facts);
    if (step === undefined) unchanged++;
    else steps.push(step);
  }
  steps.push(...removals(rows, tagged, facts));
  return { steps, unchanged };
}

interface ResourceRows {
  readonly resourceId: VmResourceId;
  readonly manual: ProtectedVm | undefined;
  /** The one that stays first. */
  readonly byTag: readonly ProtectedVm[];
}

function rowsByResource(all: readonly ProtectedVm[]): ReadonlyMap<string, ResourceRows> {
  const rows = new Map<string, ResourceRows>();
  for (const row of [...all].sort(byAge)) {
    if (row.source.kind !== "managed") continue;
    const { resourceId } = row.source;
    const known = rows.get(keyOf(resourceId)) ?? { resourceId, manual: undefined, byTag: [] };
    const next = row.protectedBy === "tag" ? { ...known, byTag: [...known.byTag, row] } : { ...known, manual: row };
    rows.set(keyOf(resourceId), next);
  }
  return rows;
}

function byAge(a: ProtectedVm, b: ProtectedVm): number {
  const [one, other] = [`${a.protectedAt} ${a.name}`, `${b.protectedAt} ${b.name}`];
  return one < other ? -1 : 1;
}

/** Undefined where it is protected as its tag says. */
function stepOfTagged(
  vm: TaggedVm,
  rows: ResourceRows | undefined,
  { tag, policies }: DiscoveryFacts,
): DiscoveryStep | undefined {
  const { resourceId, value } = vm;
  if (rows?.manual !== undefined) {
    const note = `Its tag says ${quote(value)}, and it is protected by hand, by the policy ${rows.manual.policy}: that counts.`;
    return { kind: "tell", finding: "manual", resourceId, row: rows.manual, note };
  }
  const row = rows?.byTag[0];
  const policy = policies.find((name) => name === value);
  if (policy === undefined) {
    const why =
      value === ""
        ? `Its tag ${tag} is empty: give it the name of a policy.`
        : `There is no policy ${quote(value)}, as its tag ${tag} says: correct the tag, or make the policy.`;
    return row === undefined
      ? { kind: "tell", finding: "not-protected", resourceId, note: why }
      : { kind: "tell", finding: "policy-kept", resourceId, row, note: `${why} It stays with ${row.policy}.` };
  }
  if (row === undefined) return { kind: "protect", vm, policy };
  return row.policy === policy ? undefined : { kind: "change-policy", row, policy };
}

interface Removal {
  readonly row: ProtectedVm;
  readonly resourceId: VmResourceId;
  readonly reason: RemovalReason;
}

function removals(
  rows: ReadonlyMap<string, ResourceRows>,
  tagged: ReadonlyMap<string, TaggedVm>,
  facts: DiscoveryFacts,
): readonly DiscoveryStep[] {
  const wanted: Removal[] = [];
  for (const [key, { resourceId, manual, byTag }] of rows) {
    const [first, ...others] = byTag;
    if (first === undefined) continue;
    const twice = manual === undefined ? others : byTag;
    for (const row of twice) wanted.push({ row, resourceId, reason: "protected-twice" });
    if (manual !== undefined || tagged.has(key)) continue;
    const reason = whyRemoved(resourceId, facts.listings);
    if (reason !== undefined) wanted.push({ row: first, resourceId, reason });
  }
  const held = facts.acceptRemovals ? [] : heldGroups(rows, wanted, facts.listings);
  return wanted.map(({ row, resourceId, reason }) => {
    const hold = reason === "protected-twice" ? undefined : held.find((group) => group.holds(resourceId));
    return hold === undefined
      ? { kind: "remove", row, reason }
      : { kind: "tell", finding: "removal-held", resourceId, row, note: hold.note };
  });
}

function whyRemoved(resourceId: VmResourceId, listings: readonly ScopeListing[]): RemovalReason | undefined {
  const around = listings.filter(({ scope }) => isInScope(resourceId, scope));
  if (around.length === 0) return "out-of-scope";
  return around.every(({ isComplete }) => isComplete) ? "tag-gone" : undefined;
}

interface HeldGroup {
  readonly holds: (resourceId: VmResourceId) => boolean;
  readonly note: string;
}

function heldGroups(
  rows: ReadonlyMap<string, ResourceRows>,
  wanted: readonly Removal[],
  listings: readonly ScopeListing[],
): readonly HeldGroup[] {
  const inNone = (resourceId: VmResourceId) => !listings.some(({ scope }) => isInScope(resourceId, scope));
  const groups = [
    ...listings.map(({ scope }) => ({ where: scope, holds: (id: VmResourceId) => isInScope(id, scope) })),
    { where: "no scope that is looked at", holds: inNone },
  ];
  return groups.flatMap(({ where, holds }): HeldGroup[] => {
    const all = [...rows.values()].filter(({ byTag, resourceId }) => byTag.length > 0 && holds(resourceId)).length;
    const going = wanted.filter(({ reason, resourceId }) => reason !== "protected-twice" && holds(resourceId)).length;
    if (going <= few || going * 2 <= all) return [];
    const note = `${going} of the ${all} VMs that their tags protect in ${where} would lose it at once, so that none does: somebody may have taken away tags or rights. If it is meant, confirm it with "farside vm discover --accept-removals".`;
    return [{ holds, note }];
  });
}

function keyOf(resourceId: VmResourceId): string {
  return resourceId.toLowerCase();
}
