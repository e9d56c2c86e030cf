import { FarsideError } from "../../core/errors.ts";
import type { VmId } from "../../core/ids.ts";
import type { VerifyReport } from "./findings.ts";
import type { OpenVault } from "./open-vault.ts";
import type { VerifyOptions } from "./verify-vault.ts";

/** One VM's restore points. */
export async function verifyVm(
  _vault: OpenVault,
  _vmId: VmId,
  _options: VerifyOptions,
  _signal: AbortSignal,
): Promise<VerifyReport> {
  throw new FarsideError("internal", "Verifying is not built yet.");
}
