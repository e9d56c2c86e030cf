import { answer, type Check } from "../check.ts";
import { blobLength } from "../sas.ts";

export const guestState: Check = {
  name: "guest-state",
  question: "Does a restore point of a trusted-launch VM give its guest state (getSecureVMGuestStateSAS)?",
  assumed: "yes, as a second SAS",
  relies: { file: "shared/ports/machine-target.ts", line: "readonly guestState?" },
  async ask(stage, signal) {
    const vm = await stage.vm(signal);
    if (vm.securityProfile?.securityType !== "TrustedLaunch") {
      return { verdict: "could not be tried", found: "the VM is no trusted-launch VM" };
    }
    const { second } = await stage.generations(signal);
    const asked = { getSecureVMGuestStateSAS: true };
    const id = second.osDiskPointId;
    try {
      const { securityDataAccessSAS } = await stage.grant(id, signal, asked);
      if (securityDataAccessSAS === undefined) return answer(false, "there is no second SAS");
      return answer(true, `a second SAS, of ${await blobLength(securityDataAccessSAS, signal)} bytes`);
    } finally {
      await stage.revoke(id, AbortSignal.timeout(120_000)).catch(() => undefined);
    }
  },
};
