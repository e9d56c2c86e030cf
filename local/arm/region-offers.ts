/** What the local regions offer to every subscription, and what a test changes of it: sizes and kinds of disks, quota, permissions. */
import type { Json } from "./resources.ts";

const regions = ["westeurope", "northeurope", "germanywestcentral", "eastus"];
const zones = ["1", "2", "3"];

interface Size {
  readonly name: string;
  readonly family: string;
  readonly cores: number;
  readonly dataDisks: number;
  readonly interfaces: number;
  readonly premium: boolean;
  readonly generations: string;
}

const sizes: readonly Size[] = [
  size("Standard_D2s_v5", "standardDSv5Family", 2, { dataDisks: 4, interfaces: 2 }),
  size("Standard_D4s_v5", "standardDSv5Family", 4, { dataDisks: 8, interfaces: 2 }),
  size("Standard_D8s_v5", "standardDSv5Family", 8, { dataDisks: 16, interfaces: 4 }),
  { ...size("Standard_D2_v5", "standardDv5Family", 2, { dataDisks: 4, interfaces: 2 }), premium: false },
  { ...size("Standard_M64s_v3", "standardMSv3Family", 64, { dataDisks: 64, interfaces: 8 }), generations: "V2" },
];

function size(
  name: string,
  family: string,
  cores: number,
  { dataDisks, interfaces }: { readonly dataDisks: number; readonly interfaces: number },
): Size {
  return { name, family, cores, dataDisks, interfaces, premium: true, generations: "V1,V2" };
}

const kindsOfDisks = [
  "Standard_LRS",
  "StandardSSD_LRS",
  "StandardSSD_ZRS",
  "Premium_LRS",
  "Premium_ZRS",
  "PremiumV2_LRS",
  "UltraSSD_LRS",
];

export interface Restriction {
  readonly location: string;
  /** Absent: of the whole region. */
  readonly zones?: readonly string[];
}

export class RegionOffers {
  readonly #restrictions = new Map<string, Restriction>();
  readonly #usages = new Map<string, { readonly currentValue: number; readonly limit: number }>();
  readonly #permissions = new Map<string, readonly Json[]>();

  /** A size or a kind of disk, for this subscription. */
  restrict(name: string, restriction: Restriction): void {
    this.#restrictions.set(name, restriction);
  }

  setUsage(location: string, name: string, usage: { readonly currentValue: number; readonly limit: number }): void {
    this.#usages.set(`${location} ${name}`, usage);
  }

  permit(group: string, permissions: readonly Json[]): void {
    this.#permissions.set(group.toLowerCase(), permissions);
  }

  /** Of one region, or of all. */
  skus(location?: string): readonly Json[] {
    if (location === undefined) return regions.flatMap((one) => this.skus(one));
    if (!regions.includes(location)) return [];
    const machines = sizes.map((one) => this.#sku(location, "virtualMachines", one.name, one));
    return [...machines, ...kindsOfDisks.map((name) => this.#sku(location, "disks", name))];
  }

  usages(location: string): readonly Json[] {
    if (!regions.includes(location)) return [];
    const names = ["cores", "virtualMachines", "lowPriorityCores", ...new Set(sizes.map(({ family }) => family))];
    const disks = [
      "StandardDiskCount",
      "StandardSSDDiskCount",
      "PremiumDiskCount",
      "PremiumV2DiskCount",
      "UltraSSDDiskCount",
    ];
    return [...names, ...disks].map((value) => ({
      name: { value, localizedValue: value },
      unit: "Count",
      ...(this.#usages.get(`${location} ${value}`) ?? { currentValue: 0, limit: 1000 }),
    }));
  }

  permissions(group: string): readonly Json[] {
    return this.#permissions.get(group.toLowerCase()) ?? [{ actions: ["*"], notActions: [] }];
  }

  #sku(location: string, resourceType: string, name: string, machine?: Size): Json {
    const restriction = this.#restrictions.get(name);
    const applies = restriction !== undefined && restriction.location === location;
    const restricted = {
      type: restriction?.zones === undefined ? "Location" : "Zone",
      values: [location],
      restrictionInfo: {
        locations: [location],
        ...(restriction?.zones === undefined ? {} : { zones: restriction.zones }),
      },
      reasonCode: "NotAvailableForSubscription",
    };
    return {
      resourceType,
      name,
      ...(machine === undefined ? {} : { family: machine.family, capabilities: capabilitiesOf(machine) }),
      locations: [location],
      locationInfo: [{ location, zones }],
      restrictions: applies ? [restricted] : [],
    };
  }
}

function capabilitiesOf({ cores, dataDisks, interfaces, premium, generations }: Size): readonly Json[] {
  const values = {
    vCPUs: String(cores),
    MaxDataDiskCount: String(dataDisks),
    MaxNetworkInterfaces: String(interfaces),
    PremiumIO: premium ? "True" : "False",
    HyperVGenerations: generations,
    AcceleratedNetworkingEnabled: "True",
    EncryptionAtHostSupported: "True",
  };
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}
