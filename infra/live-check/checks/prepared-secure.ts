import { answer, type Check } from "../check.ts";
import { refusalOf } from "../platform-error.ts";

const leastBytes = 20 * 1024 ** 2 + 512;

export const preparedSecure: Check = {
  name: "prepared-secure",
  question: "Does a disk made by UploadPreparedSecure give two SAS to write, the disk's and its guest state's?",
  assumed: "yes",
  relies: { file: "shared/adapters/azure/managed/machine/plan-disk.ts", line: '"UploadPreparedSecure"' },
  async ask(stage, signal) {
    let shown = "";
    const refusal = await refusalOf(async () => {
      const id = await stage.ownDisk(
        "secure",
        {
          creationData: { createOption: "UploadPreparedSecure", uploadSizeBytes: leastBytes },
          osType: "Linux",
          hyperVGeneration: "V2",
          securityProfile: { securityType: "TrustedLaunch" },
        },
        signal,
      );
      try {
        const asked = { access: "Write", getSecureVMGuestStateSAS: true };
        const { accessSAS = "", securityDataAccessSAS = "" } = await stage.grant(id, signal, asked);
        shown = `${accessSAS === "" ? "no" : "a"} SAS of the disk, ${securityDataAccessSAS === "" ? "none" : "one"} of the guest state`;
      } finally {
        await stage.revoke(id, AbortSignal.timeout(120_000)).catch(() => undefined);
      }
    }, signal);
    if (refusal !== undefined) return answer(false, `refused: ${refusal.shown}`);
    return answer(shown === "a SAS of the disk, one of the guest state", shown);
  },
};
