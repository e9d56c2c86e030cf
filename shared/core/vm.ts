/** A protected VM: where its disks are, how its guest is reached, which policy it follows. */
import { createHash } from "node:crypto";
import type { DiskRules } from "./disk-selection.ts";
import { FarsideError } from "./errors.ts";
import type { DiskName, PointId, PolicyName, RunId, VmId, VmName } from "./ids.ts";
import { parseVmId } from "./ids.ts";
import type { VmResourceId } from "./resource-id.ts";
import type { Timestamp } from "./timestamp.ts";
import type { DiskRole } from "./vault/manifest.ts";

export type PowerState = "running" | "stopped" | "unknown";

export interface PageBlobDisk {
  readonly name: DiskName;
  /** The page blob's URL without a SAS. */
  readonly url: string;
  readonly lun?: number;
  readonly role: DiskRole;
}

export interface PageBlobSource {
  readonly kind: "page-blob";
  readonly disks: readonly PageBlobDisk[];
  /** The guest's webhook (docs/guest-webhook.md); without one nothing can be frozen. */
  readonly guestUrl?: string;
  /** Whether the machine runs; a stopped one needs no freeze. Unknown where its owner did not say. */
  readonly powerState?: "running" | "stopped";
}

/** A VM of Azure: its disks are those that it has when it is backed up. */
export interface ManagedSource {
  readonly kind: "managed";
  readonly resourceId: VmResourceId;
  /** Without them all its disks, but for those that are tagged to be left out. */
  readonly disks?: DiskRules;
}

export type VmSource = PageBlobSource | ManagedSource;

/** Where the guest is asked to freeze; undefined where nobody can ask it. */
export function guestUrlOf({ source }: ProtectedVm): string | undefined {
  return source.kind === "page-blob" ? source.guestUrl : undefined;
}

/** Throws `internal`: whoever asks has chosen by the kind. */
export function requireSource<Kind extends VmSource["kind"]>(
  vm: ProtectedVm,
  kind: Kind,
): Extract<VmSource, { readonly kind: Kind }> {
  const { source } = vm;
  if (isOfKind(source, kind)) return source;
  throw new FarsideError("internal", `The VM ${vm.name} has no source of the kind ${kind}.`);
}

function isOfKind<Kind extends VmSource["kind"]>(
  source: VmSource,
  kind: Kind,
): source is Extract<VmSource, { readonly kind: Kind }> {
  return source.kind === kind;
}

export interface ProtectedVm {
  readonly name: VmName;
  readonly vmId: VmId;
  readonly policy: PolicyName;
  /** By discovery, after its tag; absent where a person protected it. */
  readonly protectedBy?: "tag";
  readonly source: VmSource;
  readonly osType?: "linux" | "windows";
  /** As the platform names it, e.g. "2008 R2" or "22.04". */
  readonly osVersion?: string;
  readonly role?: "domain-controller";
  readonly protectedAt: Timestamp;
  readonly updatedAt: Timestamp;
}

/** What changes with every run; a row of its own, so that it never races with a change of the VM's settings. */
export interface VmState {
  readonly vmId: VmId;
  /** The run that owns the VM now, a backup or a revert. One at a time. */
  readonly activeRunId?: RunId;
  readonly lastRunId?: RunId;
  readonly lastPointId?: PointId;
  /** The snapshot instant of the newest restore point: its age is held against the RPO. */
  readonly lastPointAt?: Timestamp;
  /** Reverts of which a step may still take hold of the VM's disks: the reconciler looks after them. */
  readonly reverts?: readonly RunId[];
  /** Reverts that have begun to write. Of one that did not succeed, the disks are of two times. */
  readonly halfReverts?: readonly RunId[];
}

/**
 * The VM's id in the vault: its name in lower case where that is already a slug, else the slug with the first 8 hex digits
 * of the name's SHA-256, so that two names never share one.
 */
export function vmIdOf(name: VmName): VmId {
  const slug = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  if (slug === name) return parseVmId(slug);
  const suffix = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return parseVmId(slug === "" ? `vm-${suffix}` : `${slug}-${suffix}`);
}
