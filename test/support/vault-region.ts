/** The storage of a test file's vaults: an Azurite of its own, from the first test to the last, with a new container for each vault. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll } from "vitest";
import { startAzurite, type Azurite } from "../../local/azurite/azurite-process.ts";
import type { RealPipelineOptions } from "./real-pipeline.ts";

type VaultPlace = Pick<RealPipelineOptions, "vaultConnection" | "vaultContainer">;

/** Registers hooks: to be called where tests are declared. Each call of what it gives is another container. */
export function useVaultRegion(): () => VaultPlace {
  let azurite: Azurite | undefined;
  let vaults = 0;
  beforeAll(async () => {
    azurite = await startAzurite({ accounts: [{ name: "vaultacct", key: randomBytes(64).toString("base64") }] });
  });
  afterAll(() => azurite?.stop());
  return () => {
    if (azurite === undefined) throw new Error("The vault region is there in tests and their hooks.");
    return { vaultConnection: azurite.connectionString("vaultacct"), vaultContainer: `vault-${++vaults}` };
  };
}
