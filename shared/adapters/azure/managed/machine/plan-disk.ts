/** The request that makes a disk to be written ("Upload a VHD to Azure or copy a managed disk"). Pure: from the restore and what the disk was. */
import { FarsideError } from "../../../../core/errors.ts";
import { vhdFooterBytes } from "../../../../core/vhd.ts";
import type { DiskWishes } from "../../../../core/machine-restore.ts";
import type { MachineDisk } from "../../../../ports/machine-target.ts";
import type { CapturedDisk } from "./captured-machine.ts";
import type { Tags } from "./own-tags.ts";

export type Json = { readonly [name: string]: unknown };

const mib = 1024 ** 2;
/** Of `uploadSizeBytes`, without the footer (the specification of Microsoft.Compute/disks): 20 MiB to 32 TiB less a GiB. */
const leastBytes = 20 * mib;
const mostBytes = 35_183_298_347_520 - vhdFooterBytes;

/** The size of the disk that is made: whole MiB, as a fixed VHD must be ("Prepare a Windows VHD to upload to Azure"). */
export function madeBytes(sizeBytes: number): number {
  return Math.max(leastBytes, Math.ceil(sizeBytes / mib) * mib);
}

export interface DiskFacts {
  readonly location: string;
  /** What it was, or what stands in its place. */
  readonly before: CapturedDisk | undefined;
  /** Whether what it refers to is within reach: in its own region and subscription. */
  readonly isAtHome: boolean;
  readonly osType: string | undefined;
  readonly tags: Tags;
  /** Of the VM that it will be attached to; else as wished, or as it was. */
  readonly zone?: string | undefined;
}

export interface PlannedDisk {
  readonly body: Json;
  readonly sku: string | undefined;
  readonly zone: string | undefined;
  /** `V1` or `V2`, of an OS disk. */
  readonly generation: string | undefined;
  /** `x64` or `Arm64`, of an OS disk that says so. */
  readonly architecture: string | undefined;
  readonly notes: readonly string[];
}

/** The disks that sectors of 4096 bytes can be on, and that no system can be started from ("Ultra disks", "Premium SSD v2"). */
const dataOnly = /^(?:UltraSSD|PremiumV2)_/i;

/** Throws `not-supported` for a disk that is too large, and `bad-input` for a kind of disk that cannot hold it. */
export function planDisk(disk: MachineDisk, wishes: DiskWishes, facts: DiskFacts): PlannedDisk {
  const { before, isAtHome } = facts;
  const properties = before?.properties ?? {};
  const notes: string[] = [];
  const note = (text: string): void => void notes.push(`Disk ${disk.name}: ${text}`);
  refuseSize(disk);
  const sizeBytes = madeBytes(disk.sizeBytes);
  if (sizeBytes !== disk.sizeBytes) {
    note(
      `it is made with ${sizeBytes} bytes instead of ${disk.sizeBytes}, the rest zeros: Azure makes disks of whole MiB, and of 20 at least.`,
    );
  }
  const sku = skuOf(disk, wishes, before, note);
  const isSameSku = sku === before?.sku?.name;
  const zone = zoneOf(sku, wishes, facts, note);
  const isTrusted = disk.guestState !== undefined;
  if (!isTrusted && disk.role === "os" && /^TrustedLaunch/i.test(properties.securityProfile?.securityType ?? "")) {
    note("it is of a trusted-launch VM, and the restore point has no guest state: it is made with standard security.");
  }
  if (properties.encryptionSettingsCollection?.enabled === true) {
    note(
      "it was encrypted within the VM (Azure Disk Encryption), whose keys are not captured: unlock it with those of your key vault.",
    );
  }
  const policy = properties.networkAccessPolicy;
  if ((policy !== undefined && policy !== "AllowAll") || properties.publicNetworkAccess === "Disabled") {
    note(
      "it could be reached by a private network only, and is made reachable by a SAS, for the upload needs one: set its network access again.",
    );
  }
  const isOs = disk.role === "os";
  const osType = isOs ? (facts.osType ?? properties.osType) : undefined;
  const generation = isOs ? (isTrusted ? "V2" : properties.hyperVGeneration) : undefined;
  const architecture = properties.supportedCapabilities?.["architecture"];
  return {
    sku,
    zone,
    generation,
    architecture: isOs && typeof architecture === "string" ? architecture : undefined,
    notes,
    body: {
      location: facts.location,
      ...(sku === undefined ? {} : { sku: { name: sku } }),
      ...(zone === undefined ? {} : { zones: [zone] }),
      tags: facts.tags,
      properties: {
        ...(osType === undefined ? {} : { osType: shownOs(osType) }),
        ...(generation === undefined ? {} : { hyperVGeneration: generation }),
        ...(isTrusted ? { securityProfile: { securityType: "TrustedLaunch" } } : {}),
        ...(isOs ? only(properties, ["supportedCapabilities", "purchasePlan"]) : {}),
        ...(isSameSku ? only(properties, ["tier", "diskIOPSReadWrite", "diskMBpsReadWrite", "burstingEnabled"]) : {}),
        ...encryptionOf(wishes, before, isAtHome, note),
        creationData: {
          createOption: isTrusted ? "UploadPreparedSecure" : "Upload",
          uploadSizeBytes: sizeBytes + vhdFooterBytes,
          // Their default is 4096, which a disk with sectors of 512 would not be read by.
          ...(dataOnly.test(sku ?? "") ? { logicalSectorSize: disk.logicalSectorSize } : {}),
        },
      },
    },
  };
}

type Note = (text: string) => void;

function refuseSize({ name, sizeBytes }: MachineDisk): void {
  if (madeBytes(sizeBytes) <= mostBytes) return;
  throw new FarsideError(
    "not-supported",
    `The disk ${name} has ${sizeBytes} bytes, and Azure takes an upload of ${mostBytes} at most: restore it to a file or a page blob.`,
    { details: { disk: name, sizeBytes } },
  );
}

function skuOf(
  disk: MachineDisk,
  wishes: DiskWishes,
  before: CapturedDisk | undefined,
  note: Note,
): string | undefined {
  const sku = wishes.sku ?? before?.sku?.name;
  const isLarge = disk.logicalSectorSize === 4096;
  if (isLarge && !dataOnly.test(sku ?? "")) {
    throw new FarsideError(
      "bad-input",
      `The disk ${disk.name} has sectors of 4096 bytes, which only Premium SSD v2 and Ultra disks have, not ${sku ?? "a standard one"}: ask for --sku PremiumV2_LRS or UltraSSD_LRS, or leave --sku out.`,
      { details: { disk: disk.name } },
    );
  }
  if (disk.role === "os" && dataOnly.test(sku ?? "")) {
    note(`no system starts from a disk of the kind ${sku ?? ""}: it is made as Premium_LRS.`);
    return "Premium_LRS";
  }
  return sku;
}

function zoneOf(
  sku: string | undefined,
  wishes: DiskWishes,
  { zone, before, isAtHome }: DiskFacts,
  note: Note,
): string | undefined {
  // A zone-redundant disk lies in all of them.
  if (/_ZRS$/i.test(sku ?? "")) return undefined;
  if (wishes.zone !== undefined) return wishes.zone === "none" ? undefined : wishes.zone;
  if (zone !== undefined) return zone;
  const [captured] = before?.zones ?? [];
  if (captured === undefined || isAtHome) return captured;
  note(
    `it was in zone ${captured} of another region or subscription, and is made without one: ask for one with --zone.`,
  );
  return undefined;
}

function encryptionOf(wishes: DiskWishes, before: CapturedDisk | undefined, isAtHome: boolean, note: Note): Json {
  const { type, diskEncryptionSetId: captured } = before?.properties.encryption ?? {};
  const diskEncryptionSetId = wishes.diskEncryptionSetId ?? (isAtHome ? captured : undefined);
  if (diskEncryptionSetId !== undefined) {
    const own = captured === undefined || type === undefined ? "EncryptionAtRestWithCustomerKey" : type;
    return { encryption: { type: own, diskEncryptionSetId } };
  }
  if (captured !== undefined) {
    note(
      "its disk encryption set is of another region or subscription: it is made with the platform's keys; name a set with --encryption-set.",
    );
  }
  return {};
}

/** ARM writes them so, and tells them so in what it takes. */
function shownOs(osType: string): string {
  return /^windows$/i.test(osType) ? "Windows" : "Linux";
}

function only<T extends object>(from: T, names: readonly (keyof T & string)[]): Json {
  return Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])));
}
