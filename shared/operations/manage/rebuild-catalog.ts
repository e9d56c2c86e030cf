/**
 * Makes the rows anew that follow from the vault, after the tables were lost: restore points from their manifests, VMs and policies
 * from what the newest restore point of each VM captured of them.
 *
 * 1. Never overwrites: a row that stands stays, and is told where it differs. So it may run twice, or stop anywhere.
 * 2. Policies come first, in the first call, each as the restore point captured it that knew it newest; then VM by VM.
 * 3. A VM whose protection was not captured (points of an older release) is told, and protected again by a person.
 */
import { hasCode } from "../../core/errors.ts";
import type { VmId } from "../../core/ids.ts";
import type { Policy } from "../../core/policy.ts";
import { restorePointOf } from "../../core/restore-point.ts";
import { canonicalJson } from "../../core/vault/canonical-json.ts";
import type { Manifest } from "../../core/vault/manifest.ts";
import type { Collection } from "../../ports/catalog.ts";
import { parseProtection, type Protection } from "../../wire/vault/captured.ts";
import type { Context } from "../context.ts";
import { listVms, newestRestorePoint, readRestorePoints } from "../vault/list-restore-points.ts";
import { mapOrdered } from "../vault/map-ordered.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { readConfiguration } from "../vault/read-configuration.ts";

export interface RebuildInput {
  /** The last VM of the call before. */
  readonly after?: VmId;
}

export interface RebuildReport {
  /** What was made. */
  readonly policies: readonly string[];
  readonly vms: readonly string[];
  readonly restorePoints: number;
  /** Rows that stood already and say the same. */
  readonly unchanged: number;
  /** Rows that stood already and say something else: they were left as they are. */
  readonly differing: readonly { readonly kind: "policy" | "vm" | "restore-point"; readonly name: string }[];
  /** What could not be made, and what to do. */
  readonly notes: readonly { readonly vmId: VmId; readonly note: string }[];
  /** There is more: call again with it as `after`. */
  readonly next?: VmId;
}

type Counts = {
  policies: string[];
  vms: string[];
  restorePoints: number;
  unchanged: number;
  differing: RebuildReport["differing"][number][];
  notes: RebuildReport["notes"][number][];
};

/** No VM is begun after this: well below the two minutes that the command line waits for an answer. */
const budgetMs = 45_000;
const atOnce = 8;

export async function rebuildCatalog(
  context: Context,
  { after }: RebuildInput,
  signal: AbortSignal,
): Promise<RebuildReport> {
  const vault = await context.vault(signal);
  const endsAt = context.clock.monotonic() + budgetMs;
  const counts: Counts = { policies: [], vms: [], restorePoints: 0, unchanged: 0, differing: [], notes: [] };
  const vms = await listVms(vault, signal);
  if (after === undefined) await rebuildPolicies(context, vault, vms, counts, signal);
  const left = after === undefined ? vms : vms.filter((vmId) => vmId > after);
  let last: VmId | undefined = after;
  for (const vmId of left) {
    if (last !== after && context.clock.monotonic() > endsAt)
      return { ...counts, ...(last === undefined ? {} : { next: last }) };
    await rebuildVm(context, vault, vmId, counts, signal);
    last = vmId;
  }
  return counts;
}

async function rebuildPolicies(
  context: Context,
  vault: OpenVault,
  vms: readonly VmId[],
  counts: Counts,
  signal: AbortSignal,
): Promise<void> {
  const newest = new Map<string, Policy>();
  const read = async (vmId: VmId, aborted: AbortSignal): Promise<Protection | undefined> => {
    const point = await newestRestorePoint(vault, vmId, aborted);
    return point === undefined ? undefined : protectionOf(vault, point.manifest, aborted);
  };
  for await (const protection of mapOrdered(vms, atOnce, read, signal)) {
    if (protection === undefined) continue;
    const { policy } = protection;
    const known = newest.get(policy.name);
    if (known === undefined || known.updatedAt < policy.updatedAt) newest.set(policy.name, policy);
  }
  for (const policy of newest.values()) {
    const made = await insert(context.catalog.policies, policy.name, policy, signal);
    tell(counts, made, "policy", policy.name, counts.policies);
  }
}

async function rebuildVm(
  context: Context,
  vault: OpenVault,
  vmId: VmId,
  counts: Counts,
  signal: AbortSignal,
): Promise<void> {
  const { catalog } = context;
  let newest: Manifest | undefined;
  const manifests: Manifest[] = [];
  for await (const point of readRestorePoints(vault, vmId, signal)) {
    if (point.kind === "corrupt") {
      const note = `The manifest of ${point.pointId} is damaged (${point.defect.reason}): its row was not made.`;
      counts.notes.push({ vmId, note });
    } else if (point.kind === "standing" && point.tombstonedAt === undefined) {
      manifests.push(point.manifest);
      newest = point.manifest;
    }
  }
  const put = async (manifest: Manifest, aborted: AbortSignal) => {
    const row = restorePointOf(manifest);
    return { row, made: await insert(catalog.restorePoints, { vmId, pointId: row.pointId }, row, aborted) };
  };
  for await (const { row, made } of mapOrdered(manifests, atOnce, put, signal)) {
    if (made === "made") counts.restorePoints++;
    else tell(counts, made, "restore-point", `${vmId}/${row.pointId}`, []);
  }
  if (newest === undefined) return;
  const protection = await protectionOf(vault, newest, signal);
  if (protection === undefined) {
    const note = `How ${newest.vmName} was protected was not captured in its newest restore point ${newest.pointId}: protect it again with "farside vm protect". Its restore points are there.`;
    counts.notes.push({ vmId, note });
    return;
  }
  const { vm } = protection;
  const made = await insert(catalog.vms, vm.name, vm, signal);
  tell(counts, made, "vm", vm.name, counts.vms);
  const { runId, pointId, snapshotAt } = newest;
  // What stands there is at least as new: a backup wrote it.
  await catalog.vmStates.insert({ vmId, lastRunId: runId, lastPointId: pointId, lastPointAt: snapshotAt }, signal);
}

/** Absent also where the document is lost: its restore points are none the less there. */
async function protectionOf(
  vault: OpenVault,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<Protection | undefined> {
  try {
    const protection = parseProtection(await readConfiguration(vault, manifest, signal));
    return protection?.vm.vmId === manifest.vmId ? protection : undefined;
  } catch (error) {
    if (hasCode(error, "vault-corrupt")) return undefined;
    throw error;
  }
}

async function insert<Key, T, Where>(
  collection: Collection<Key, T, Where>,
  key: Key,
  value: T,
  signal: AbortSignal,
): Promise<"made" | "same" | "differs"> {
  if ((await collection.insert(value, signal)) !== "exists") return "made";
  const standing = await collection.get(key, signal);
  return standing !== undefined && canonicalJson(standing.value) === canonicalJson(value) ? "same" : "differs";
}

function tell(
  counts: Counts,
  made: "made" | "same" | "differs",
  kind: RebuildReport["differing"][number]["kind"],
  name: string,
  list: string[],
): void {
  if (made === "made") list.push(name);
  else if (made === "same") counts.unchanged++;
  else counts.differing.push({ kind, name });
}
