import type { DiskRules } from "../../core/disk-selection.ts";
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, PolicyName, VmName } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import { timestamp } from "../../core/timestamp.ts";
import { parseVmResourceId, type VmResourceId } from "../../core/resource-id.ts";
import type { PageBlobDisk, ProtectedVm, VmSource } from "../../core/vm.ts";
import { vmIdOf } from "../../core/vm.ts";
import type { DiskRole } from "../../core/vault/manifest.ts";
import type { VmInspection } from "../../ports/disk-source.ts";
import type { Context } from "../context.ts";
import { forgetHalfReverts } from "../restore/half-reverts.ts";
import { refuseShutdown } from "../backup/refuse-shutdown.ts";
import { getPolicy } from "./get-policy.ts";
import { listWhole } from "./list-whole.ts";
import { isOf } from "./protect-discovered.ts";

interface PageBlobInput {
  readonly kind: "page-blob";
  readonly disks: readonly {
    readonly name: DiskName;
    readonly url: string;
    readonly lun?: number | undefined;
    readonly role?: DiskRole | undefined;
  }[];
  readonly guestUrl?: string | undefined;
  readonly powerState?: "running" | "stopped" | undefined;
}

interface ManagedInput {
  readonly kind: "managed";
  readonly resourceId: string;
  readonly disks?: DiskRules | undefined;
}

export interface ProtectVmInput {
  readonly name: VmName;
  readonly policy: PolicyName;
  readonly source: PageBlobInput | ManagedInput;
  readonly osType?: "linux" | "windows" | undefined;
  readonly osVersion?: string | undefined;
  readonly role?: "domain-controller" | undefined;
}

export interface VmProtected {
  readonly kind: "created" | "replaced";
  readonly vm: ProtectedVm;
  /** What is no error and may be one: rules that match no disk. */
  readonly warnings: readonly string[];
}

const sectorBytes = 512;

/**
 * Protects a VM, or changes how it is protected: its id, and with it its restore points, stay.
 * Throws `not-found` for an unknown policy or a disk that is not there, `bad-input` for disks that cannot be protected, `not-supported`
 * for a policy that stops VMs where nothing can be stopped.
 * Every disk is looked at before anything is written.
 */
export async function protectVm(context: Context, input: ProtectVmInput, signal: AbortSignal): Promise<VmProtected> {
  const source = sourceOf(input.source);
  const { value: policy } = await getPolicy(context, { name: input.policy }, signal);
  refuseShutdown(context, { name: input.name, source }, policy);
  if (source.kind === "managed") await refuseTwice(context, input.name, source.resourceId, signal);
  const existing = await context.catalog.vms.get(input.name, signal);
  const now = timestamp(context.clock.now());
  const vm: ProtectedVm = {
    name: input.name,
    vmId: existing?.value.vmId ?? vmIdOf(input.name),
    policy: input.policy,
    source,
    ...(input.osType === undefined ? {} : { osType: input.osType }),
    ...(input.osVersion === undefined ? {} : { osVersion: input.osVersion }),
    ...(input.role === undefined ? {} : { role: input.role }),
    protectedAt: existing?.value.protectedAt ?? now,
    updatedAt: now,
  };
  const { idleRules = [] } = await inspectDisks(context, vm, signal);
  const written =
    existing === undefined
      ? await context.catalog.vms.insert(vm, signal)
      : await context.catalog.vms.replace(existing, vm, signal);
  if (written === "exists" || written === "conflict") {
    throw new FarsideError(
      "conflict",
      `The VM ${quote(input.name)} was changed by somebody else just now: look at it, then try again.`,
      { details: { vm: input.name } },
    );
  }
  if (existing !== undefined) await forgetHalfReverts(context, vm.vmId, signal);
  context.log.log("info", "vm-protected", { vm: vm.name, vmId: vm.vmId, policy: vm.policy });
  const warnings = idleRules.map(
    (rule) => `No disk of the VM is matched by ${quote(rule)}: correct the rule, unless its disk comes later.`,
  );
  return { kind: existing === undefined ? "created" : "replaced", vm, warnings };
}

function sourceOf(input: ProtectVmInput["source"]): VmSource {
  if (input.kind === "managed") {
    const resourceId = parseVmResourceId(input.resourceId);
    return { kind: "managed", resourceId, ...(input.disks === undefined ? {} : { disks: input.disks }) };
  }
  const { disks, guestUrl, powerState } = input;
  checkDisks(disks);
  return {
    kind: "page-blob",
    disks: withRoles(disks),
    ...(guestUrl === undefined ? {} : { guestUrl }),
    ...(powerState === undefined ? {} : { powerState }),
  };
}

/** Two rows of one VM would take each other's snapshots for orphans. */
async function refuseTwice(
  context: Context,
  name: VmName,
  resourceId: VmResourceId,
  signal: AbortSignal,
): Promise<void> {
  const rows = await listWhole(context.catalog.vms, {}, signal);
  const other = rows.find((row) => row.name !== name && isOf(row, resourceId));
  if (other === undefined) return;
  throw new FarsideError(
    "already-exists",
    `That VM of Azure is protected already, as ${quote(other.name)}: change that one, or unprotect it first.`,
    { details: { vm: other.name, resourceId } },
  );
}

/** Names become file and blob names at a restore, where upper and lower case may be the same. */
function checkDisks(disks: PageBlobInput["disks"]): void {
  const names = new Map<string, number>();
  const urls = new Map<string, number>();
  const errors = disks.flatMap((disk, index) => {
    const found = [];
    const other = disks[names.get(disk.name.toLowerCase()) ?? -1];
    if (other !== undefined) {
      const message = `Two disks are called ${quote(disk.name)}${other.name === disk.name ? "" : ` (the other ${quote(other.name)})`}: give each a name of its own.`;
      found.push({ path: `source.disks[${index}].name`, message });
    }
    if (urls.has(disk.url)) {
      const message = `The disk ${quote(disk.name)} is the same page blob as another disk: ${disk.url}`;
      found.push({ path: `source.disks[${index}].url`, message });
    }
    names.set(disk.name.toLowerCase(), index);
    urls.set(disk.url, index);
    return found;
  });
  const [first] = errors;
  if (first !== undefined) throw new FarsideError("bad-input", first.message, { details: { errors } });
}

/** Where nobody said which disk is the OS disk, it is the first: so every platform lists them. */
function withRoles(disks: PageBlobInput["disks"]): readonly PageBlobDisk[] {
  const said = disks.some((disk) => disk.role !== undefined);
  return disks.map(({ name, url, lun, role }, index) => ({
    name,
    url,
    ...(lun === undefined ? {} : { lun }),
    role: role ?? (!said && index === 0 ? "os" : "data"),
  }));
}

async function inspectDisks(context: Context, vm: ProtectedVm, signal: AbortSignal): Promise<VmInspection> {
  const inspection = await context.source(vm.source.kind).inspect(vm, signal);
  for (const disk of inspection.disks) {
    if (disk.sizeBytes > 0 && disk.sizeBytes % sectorBytes === 0) continue;
    throw new FarsideError(
      "bad-input",
      `The disk ${quote(disk.name)} has ${disk.sizeBytes} bytes, which is not a multiple of ${sectorBytes}: it is no disk.`,
      { details: { disk: disk.name, sizeBytes: disk.sizeBytes } },
    );
  }
  return inspection;
}
