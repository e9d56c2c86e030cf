/**
 * The vault of a local stack whose `farside up` does not run: its storage is started for the time of one verb, so that a restore
 * needs nothing else to run.
 */
import { join } from "node:path";
import type { FoundStack } from "./settings.ts";
import type { Verb } from "./verb.ts";

export async function withLocalVault<T>(verb: Verb, found: FoundStack | undefined, work: () => Promise<T>): Promise<T> {
  if (found === undefined) return work();
  const { runningStack } = await import("../local/stack/running-stack.ts");
  if ((await runningStack(found.dataFolder)) !== undefined) return work();
  const { startAzurite } = await import("../local/azurite/azurite-process.ts");
  const { folder, account, key } = found.stack.regions.vault;
  verb.output.note("The local stack does not run: starting its vault's storage for this command alone.");
  const region = await startAzurite({
    accounts: [{ name: account, key }],
    dataFolder: join(found.dataFolder, folder),
  });
  try {
    return await work();
  } finally {
    await region.stop();
  }
}
