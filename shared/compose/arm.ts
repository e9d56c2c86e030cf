/** Config → the connection to Azure Resource Manager, opened when it is first needed. */
import type { ArmConnection } from "../adapters/azure/managed/arm-connection.ts";
import { identityCredential } from "../adapters/azure/identity-credential.ts";
import type { ArmAccess } from "../config/arm.ts";
import type { Clock } from "../ports/clock.ts";

/** Apps that protect no VM of Azure never load its SDK. Touches no network. */
export function armOpener(access: ArmAccess, clock: Clock): () => Promise<ArmConnection> {
  let opening: Promise<ArmConnection> | undefined;
  return () => {
    opening ??= open(access, clock).catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
}

async function open(access: ArmAccess, clock: Clock): Promise<ArmConnection> {
  const [{ ArmConnection }, { localArm }] = await Promise.all([
    import("../adapters/azure/managed/arm-connection.ts"),
    import("../adapters/azure/managed/local-arm.ts"),
  ]);
  if (access.kind === "local") return ArmConnection.open({ ...localArm(access.url, access.principal), clock });
  return ArmConnection.open({ credential: await identityCredential(access.identity), clock });
}
