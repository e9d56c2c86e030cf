import { TableClient } from "@azure/data-tables";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TableCatalog } from "../../shared/adapters/azure/table-catalog.ts";
import { parsePolicyName } from "../../shared/core/ids.ts";
import { samplePolicy } from "../support/sample-rows.ts";
import { startTestAzurite, type TestAzurite } from "../support/test-azurite.ts";
import { catalogConformance } from "./catalog.suite.ts";

const signal = AbortSignal.timeout(200_000);
let region: TestAzurite;
beforeAll(async () => {
  region = await startTestAzurite();
});
afterAll(async () => region.azurite.stop());

describe("The catalog in Table storage", () => {
  test("has no rows, and makes no table, before the first is inserted", async () => {
    const catalog = new TableCatalog(region.connection);
    const name = samplePolicy.name;
    expect(await catalog.policies.get(name, signal)).toBeUndefined();
    expect(await catalog.policies.remove(name, undefined, signal)).toBe("absent");
    expect(await catalog.policies.list({ limit: 10 }, signal)).toEqual({ items: [] });
    const table = TableClient.fromConnectionString(region.connectionString, "farsidepolicies", {
      allowInsecureConnection: true,
    });
    await expect(table.getEntity("all", name)).rejects.toMatchObject({ statusCode: 404 });
  });

  test("takes the first inserts of many at once into tables that do not exist yet", async () => {
    const catalog = new TableCatalog(region.connection);
    const names = Array.from({ length: 12 }, (_, n) => parsePolicyName(`first-${n}`));
    const answers = await Promise.all(
      names.map(async (name) => catalog.policies.insert({ ...samplePolicy, name }, signal)),
    );
    expect(answers.filter((answer) => answer === "exists")).toEqual([]);
  });

  test("refuses a row that somebody damaged, naming table and key", async () => {
    const catalog = new TableCatalog(region.connection);
    const table = TableClient.fromConnectionString(region.connectionString, "farsidepolicies", {
      allowInsecureConnection: true,
    });
    await table.createEntity({ partitionKey: "all", rowKey: "damaged", schemaVersion: 1, document0: "{}" });
    await expect(catalog.policies.get(parsePolicyName("damaged"), signal)).rejects.toThrow(
      /all\/damaged of the table farsidepolicies does not parse/,
    );
    await table.deleteEntity("all", "damaged");
  });

  test.each([
    { nextPartitionKey: 5 },
    { nextPartitionKey: { a: 1 }, nextRowKey: "a" },
    { nextPartitionKey: "all", nextRowKey: ["a"] },
    { nextPartitionKey: null },
    { nextRowKey: "a" },
    [],
    7,
  ])("refuses a forged continuation: %j", async (token) => {
    const continuation = Buffer.from(JSON.stringify(token)).toString("base64");
    const listed = new TableCatalog(region.connection).policies.list({ limit: 1, continuation }, signal);
    await expect(listed).rejects.toMatchObject({ code: "bad-input" });
  });

  catalogConformance(async () => Promise.resolve(new TableCatalog(region.connection)));
});
