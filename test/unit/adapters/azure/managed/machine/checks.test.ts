import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAllowed, neededActions } from "../../../../../../shared/adapters/azure/managed/machine/check-permissions.ts";
import { checkSize } from "../../../../../../shared/adapters/azure/managed/machine/check-size.ts";
import { exchangedProfile } from "../../../../../../shared/adapters/azure/managed/machine/exchanged-profile.ts";
import { checkNames, diskIds } from "../../../../../../shared/adapters/azure/managed/machine/names.ts";
import { isOwn, lostTags, tagsOf } from "../../../../../../shared/adapters/azure/managed/machine/own-tags.ts";
import { demandOf, refuseShort } from "../../../../../../shared/adapters/azure/managed/machine/quota.ts";
import { requireSku } from "../../../../../../shared/adapters/azure/managed/machine/region-skus.ts";
import { parseDiskName, parseRunId, parseVmName } from "../../../../../../shared/core/ids.ts";
import { home, osDisk, sampleMachine, sampleRestore, targetIn } from "../../../../../support/machine-samples.ts";

describe("The names of a restore", () => {
  const name = fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?$/);
  test("are ones that Azure takes, each of its own, and the same whenever they are asked for", () => {
    fc.assert(
      fc.property(name, fc.uniqueArray(name, { minLength: 1, maxLength: 8 }), (vm, names) => {
        const disks = names.map((one, lun) => ({ ...osDisk, name: parseDiskName(one), lun }));
        const restore = sampleRestore({ vm: parseVmName(vm), disks });
        const made = diskIds(restore).map((id) => id.split("/").at(-1) ?? "");
        expect(made).toEqual(diskIds(restore).map((id) => id.split("/").at(-1)));
        for (const one of made) expect(one).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,78}[A-Za-z0-9_]$/);
        expect(new Set(made.map((one) => one.toLowerCase())).size).toBe(made.length);
      }),
    );
  });

  test("are refused where Azure would refuse them", () => {
    expect(() => checkNames(sampleRestore({ target: targetIn(home, { name: "web." }) }))).toThrow("name of a VM");
    expect(() => checkNames(sampleRestore({ target: targetIn(home, { namePrefix: "x".repeat(61) }) }))).toThrow(
      "longer",
    );
  });
});

describe("The tags of a restore", () => {
  test("are its own, whatever the VM had, also where an earlier restore had made it", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 60 }), (before) => {
        const restore = sampleRestore();
        const tags = tagsOf(restore, { ...before, "Farside-Run": "another" });
        expect(isOwn(tags, restore.runId)).toBe(true);
        expect(isOwn(tags, parseRunId("01K0000000000000000000000B"))).toBe(false);
        expect(Object.keys(tags).length).toBeLessThanOrEqual(50);
        const kept = Object.keys(before).filter((name) => Object.hasOwn(tags, name) && !name.startsWith("farside-"));
        expect(kept.length + lostTags(before)).toBe(
          Object.keys(before).filter((one) => !/^farside-/i.test(one)).length,
        );
      }),
    );
  });
});

describe("Permissions", () => {
  test("are those of one role, with its wildcards and less what it leaves out", () => {
    const role = { actions: ["Microsoft.Compute/*/read", "Microsoft.Compute/disks/*"], notActions: ["*/delete"] };
    expect(isAllowed("Microsoft.Compute/disks/beginGetAccess/action", [role])).toBe(true);
    expect(isAllowed("microsoft.compute/VIRTUALMACHINES/read", [role])).toBe(true);
    expect(isAllowed("Microsoft.Compute/disks/delete", [role])).toBe(false);
    expect(isAllowed("Microsoft.Compute/disks/delete", [role, { actions: ["*"], notActions: [] }])).toBe(true);
    expect(isAllowed("MicrosoftXCompute/disks/read", [role])).toBe(false);
    expect(isAllowed("Microsoft.Compute/disks/read", [])).toBe(false);
  });

  test("of a restore to disks alone are of disks alone", () => {
    expect(neededActions({ kind: "managed-disks" }).every((one) => one.startsWith("Microsoft.Compute/disks/"))).toBe(
      true,
    );
  });
});

describe("What a region offers", () => {
  const sku = (more: object = {}) => ({
    resourceType: "virtualMachines",
    name: "Standard_D2s_v5",
    locationInfo: [{ location: "westeurope", zones: ["1", "2"] }],
    ...more,
  });
  const offers = (...skus: ReturnType<typeof sku>[]) => ({ location: "westeurope", skus });
  test("is told by size, zone and restriction", () => {
    expect(requireSku(offers(sku()), "virtualMachines", "standard_d2s_v5", "2").name).toBe("Standard_D2s_v5");
    expect(() => requireSku(offers(sku()), "virtualMachines", "Standard_D2s_v5", "3")).toThrow("it is in 1, 2");
    expect(() => requireSku(offers(sku()), "disks", "Standard_D2s_v5", undefined)).toThrow("--sku");
    const closed = { restrictions: [{ type: "Zone", restrictionInfo: { zones: ["1", "2"] } }] };
    expect(() => requireSku(offers(sku(closed)), "virtualMachines", "Standard_D2s_v5", "1")).toThrow(
      "none of its zones",
    );
    const refused = { restrictions: [{ type: "Location", reasonCode: "NotAvailableForSubscription" }] };
    expect(() => requireSku(offers(sku(refused)), "virtualMachines", "Standard_D2s_v5", undefined)).toThrow(
      "NotAvailableForSubscription",
    );
  });

  test("must carry the VM", () => {
    const capabilities = {
      MaxDataDiskCount: "4",
      PremiumIO: "True",
      HyperVGenerations: "V1",
      TrustedLaunchDisabled: "True",
      DiskControllerTypes: "SCSI",
      CpuArchitectureType: "x64",
    };
    const size = sku({ capabilities: Object.entries(capabilities).map(([name, value]) => ({ name, value })) });
    const load = {
      dataDisks: 4,
      interfaces: 1,
      diskSkus: ["Premium_LRS"],
      generation: "V1",
      isTrusted: false,
      encryptsAtHost: false,
      controller: undefined,
      architecture: undefined,
    };
    expect(() => checkSize(size, load)).not.toThrow();
    expect(() => checkSize(size, { ...load, dataDisks: 5 })).toThrow("takes 4 data disks, and there are 5");
    expect(() => checkSize(size, { ...load, generation: "V2" })).toThrow("generation V1");
    expect(() => checkSize(size, { ...load, isTrusted: true })).toThrow("no trusted launch");
    expect(() => checkSize(size, { ...load, encryptsAtHost: true })).toThrow("encryption at host");
    expect(() => checkSize(size, { ...load, controller: "NVMe" })).toThrow("no NVMe disk controller");
    expect(() => checkSize(size, { ...load, architecture: "Arm64" })).toThrow("processors are x64");
    expect(() => checkSize(size, { ...load, controller: "SCSI", architecture: "x64" })).not.toThrow();
  });

  test("suffices up to the limit and not beyond", () => {
    const demand = demandOf(["Premium_LRS", "Premium_ZRS", "StandardSSD_LRS", undefined], {
      family: "familyA",
      cores: 4,
      isSpot: false,
    });
    const usage = (value: string, currentValue: number, limit: number) => ({ name: { value }, currentValue, limit });
    expect(() => refuseShort("here", demand, [usage("PremiumDiskCount", 8, 10), usage("familya", 0, 4)])).not.toThrow();
    expect(() => refuseShort("here", demand, [usage("PremiumDiskCount", 9, 10)])).toThrow("9 of 10 used, 2 needed");
    expect(() => refuseShort("here", demand, [usage("familyA", 1, 4)])).toThrow("familyA");
    expect(demandOf([], { family: "familyA", cores: 4, isSpot: true }).get("lowPriorityCores")).toBe(4);
  });
});

describe("The exchange of disks in a VM's model", () => {
  const { vm } = sampleMachine();
  test("changes the slots that are restored, keeps all else, and can be undone", () => {
    const exchanged = exchangedProfile(vm, [{ role: "data", lun: 4, diskId: "/new/data" }]);
    expect(exchanged).toEqual({
      dataDisks: [
        { lun: 4, caching: "ReadOnly", createOption: "Attach", name: "data", managedDisk: { id: "/new/data" } },
      ],
    });
    const { osDisk: slot } = vm.properties.storageProfile;
    const made = { ...slot, createOption: "FromImage", diskSizeGB: 30 };
    const storageProfile = { ...vm.properties.storageProfile, osDisk: made };
    const fromImage = { ...vm, properties: { ...vm.properties, storageProfile } };
    expect(exchangedProfile(fromImage, [{ role: "os", diskId: "/new/os" }])).toEqual({
      // How it was once made cannot be changed; how large it is tells the disk.
      osDisk: {
        osType: "Linux",
        caching: "ReadWrite",
        createOption: "FromImage",
        name: "os",
        managedDisk: { id: "/new/os" },
      },
    });
    expect(exchangedProfile(vm, [{ role: "data", lun: 7, diskId: undefined }])).toEqual({
      dataDisks: vm.properties.storageProfile.dataDisks,
    });
  });
});
