import { describe, expect, test } from "vitest";
import { findOperation, providerOf } from "../../../support/specification/arm-specification.ts";
import type { WireType } from "../../../support/specification/wire-model.ts";

const group = "/subscriptions/s/resourceGroups/g/providers";

describe("The specification that is read from the installed SDKs", () => {
  test("has an operation with its version, statuses, types and the place of its result", () => {
    expect(findOperation("POST", `${group}/microsoft.compute/SNAPSHOTS/s/beginGetAccess`)?.operation).toMatchObject({
      apiVersion: "2026-03-02",
      query: ["api-version"],
      statuses: [200, 202, 201],
      request: { kind: "model", name: "GrantAccessData" },
      response: { kind: "model", name: "AccessUri" },
      finalState: "location",
    });
    expect(findOperation("GET", `${group}/Microsoft.Compute/restorePointCollections`)?.operation.paged).toBe(true);
    expect(findOperation("GET", `${group}/Microsoft.Compute/restorePointCollections/c/restorePoints`)).toBeUndefined();
  });

  test("has the properties as they are called on the wire, below `properties`, with what is required and read-only", () => {
    const { models } = providerOf(`${group}/Microsoft.Compute/disks/d`);
    expect(models.model("Disk").get("properties")?.type).toEqual({ kind: "model", name: "DiskProperties" });
    const properties = models.model("DiskProperties");
    // The SDK calls it diskIopsReadWrite.
    expect([...properties.keys()]).toContain("diskIOPSReadWrite");
    expect(properties.get("creationData")).toMatchObject({ required: true, readOnly: false });
    expect(properties.get("uniqueId")).toMatchObject({ required: false, readOnly: true });
    expect(properties.get("timeCreated")?.type).toEqual({ kind: "time" });
    expect(properties.get("networkAccessPolicy")?.type).toMatchObject({
      kind: "value",
      values: ["AllowAll", "AllowPrivate", "DenyAll"],
    });
  });

  // The readers throw at what they do not understand: a model that was read in part would let everything pass.
  test.each(["Microsoft.Compute", "Microsoft.Network"])("can be read whole: %s", (namespace) => {
    const { operations, models } = providerOf(`${group}/${namespace}/x`);
    const seen = new Set<string>();
    const visit = (type: WireType | undefined): void => {
      if (type?.kind === "list" || type?.kind === "map") visit(type.of);
      if (type?.kind !== "model" || seen.has(type.name)) return;
      seen.add(type.name);
      for (const property of models.model(type.name).values()) visit(property.type);
    };
    for (const { read } of operations) {
      const { request, response } = read();
      visit(request);
      visit(response);
    }
    expect(operations.length).toBeGreaterThan(300);
    expect(seen.size).toBeGreaterThan(500);
  });
});
