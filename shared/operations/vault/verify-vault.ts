import { FarsideError } from "../../core/errors.ts";
import type { VerifyReport } from "./findings.ts";
import type { OpenVault } from "./open-vault.ts";

export interface VerifyOptions {
  /** Reads and decodes every distinct chunk once. */
  readonly readData?: boolean;
  /** Reads and decodes about this share of the distinct chunks, 0 to 100, by chance. */
  readonly samplePercent?: number;
  /** Requests at once. */
  readonly parallelism?: number;
  readonly maxFindings?: number;
}

/** All VMs and all key slots. */
export async function verifyVault(
  _vault: OpenVault,
  _options: VerifyOptions,
  _signal: AbortSignal,
): Promise<VerifyReport> {
  throw new FarsideError("internal", "Verifying is not built yet.");
}
