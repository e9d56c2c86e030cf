import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { capturedDiskOf } from "../../../../../../shared/adapters/azure/managed/machine/captured-machine.ts";
import {
  madeBytes,
  planDisk,
  type DiskFacts,
} from "../../../../../../shared/adapters/azure/managed/machine/plan-disk.ts";
import { dataDisk, osDisk, sampleMachine } from "../../../../../support/machine-samples.ts";

const mib = 1024 ** 2;
const tib = 1024 ** 4;
const captured = capturedDiskOf(sampleMachine(), osDisk);

function facts(more: Partial<DiskFacts> = {}): DiskFacts {
  return { location: "westeurope", before: captured, isAtHome: true, osType: "linux", tags: { a: "b" }, ...more };
}

describe("The request of a disk", () => {
  test("has whole MiB and a footer, is never smaller than the disk, and less than a MiB larger where it is not tiny", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 32 * tib - 1024 * mib }), (sizeBytes) => {
        const made = madeBytes(sizeBytes);
        expect(made % mib).toBe(0);
        expect(made).toBeGreaterThanOrEqual(Math.max(sizeBytes, 20 * mib));
        expect(made - Math.max(sizeBytes, 20 * mib)).toBeLessThan(mib);
        const { body } = planDisk({ ...osDisk, sizeBytes }, {}, facts());
        expect(body).toMatchObject({ properties: { creationData: { uploadSizeBytes: made + 512 } } });
      }),
    );
  });

  test("is as the disk was, at home", () => {
    expect(planDisk(osDisk, {}, facts())).toEqual({
      sku: "Premium_LRS",
      zone: "1",
      generation: "V2",
      architecture: undefined,
      notes: [],
      body: {
        location: "westeurope",
        sku: { name: "Premium_LRS" },
        zones: ["1"],
        tags: { a: "b" },
        properties: {
          osType: "Linux",
          hyperVGeneration: "V2",
          tier: "P10",
          encryption: captured?.properties.encryption,
          creationData: { createOption: "Upload", uploadSizeBytes: 30 * 1024 ** 3 + 512 },
        },
      },
    });
  });

  test("names nothing of another region, and says what it leaves out", () => {
    const { body, notes } = planDisk(osDisk, {}, facts({ location: "northeurope", isAtHome: false }));
    expect(JSON.stringify(body)).not.toMatch(/zones|encryption/);
    expect(notes.join()).toMatch(/zone 1 of another region.*--zone.*--encryption-set/);
  });

  test("follows what was asked for: kind, zone, encryption", () => {
    const wishes = { sku: "StandardSSD_ZRS", zone: "3", diskEncryptionSetId: "/the/set" };
    const { body, zone } = planDisk(osDisk, wishes, facts({ before: undefined }));
    // A zone-redundant disk lies in all of them.
    expect(zone).toBeUndefined();
    expect(body).toMatchObject({
      sku: { name: "StandardSSD_ZRS" },
      properties: { encryption: { type: "EncryptionAtRestWithCustomerKey", diskEncryptionSetId: "/the/set" } },
    });
    // Tier and speed belong to the kind that it was.
    expect(JSON.stringify(planDisk(osDisk, { sku: "StandardSSD_LRS" }, facts()).body)).not.toContain("P10");
  });

  test("puts sectors of 4096 bytes on the kinds of disks that have them alone", () => {
    const large = { ...dataDisk, logicalSectorSize: 4096 };
    expect(() => planDisk(large, {}, facts({ before: undefined }))).toThrow(/PremiumV2_LRS or UltraSSD_LRS/);
    const { body } = planDisk(large, { sku: "PremiumV2_LRS" }, facts({ before: undefined }));
    expect(body).toMatchObject({ properties: { creationData: { logicalSectorSize: 4096 } } });
    // Their default would be 4096.
    const small = planDisk(dataDisk, { sku: "PremiumV2_LRS" }, facts({ before: undefined }));
    expect(small.body).toMatchObject({ properties: { creationData: { logicalSectorSize: 512 } } });
    expect(planDisk(osDisk, { sku: "PremiumV2_LRS" }, facts()).sku).toBe("Premium_LRS");
  });

  test("is refused for a disk that is larger than an upload may be", () => {
    expect(() => planDisk({ ...dataDisk, sizeBytes: 33 * tib }, {}, facts())).toThrow(/restore it to a file/);
  });
});
