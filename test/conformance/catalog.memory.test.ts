import { describe } from "vitest";
import { MemoryCatalog } from "../../shared/adapters/memory/memory-catalog.ts";
import { catalogConformance } from "./catalog.suite.ts";

describe("The catalog in memory", () => {
  catalogConformance(async () => Promise.resolve(new MemoryCatalog()));
});
