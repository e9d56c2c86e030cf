import type { VmId } from "../../core/ids.ts";
import type { VerifyReport } from "./findings.ts";
import type { OpenVault } from "./open-vault.ts";
import { verifyVms } from "./verify-vault.ts";
import type { VerifyOptions } from "./verify-vault.ts";

/** As `verifyVault`, of one VM's restore points. */
export function verifyVm(
  vault: OpenVault,
  vmId: VmId,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<VerifyReport> {
  return verifyVms(vault, [vmId], [], options, signal);
}
