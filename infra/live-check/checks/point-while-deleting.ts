import { answer, type Check } from "../check.ts";
import { refusalOf } from "../platform-error.ts";

/** Third in its hour, the most that is allowed; and it removes the first one: it comes last. */
export const pointWhileDeleting: Check = {
  name: "point-while-deleting",
  question: "What becomes of a new restore point that is asked for while another one of the VM is being removed?",
  assumed: "it is made, or refused with a code that is tried again later",
  relies: { file: "shared/adapters/azure/managed/arm-errors.ts", line: 'code === "VMRestorePointClientError"' },
  async ask(stage, signal) {
    const { first } = await stage.generations(signal);
    const [, , , point = ""] = first.pointId.split("/").slice(-4);
    const deleting = stage.client.restorePoints.delete(stage.group, stage.prefix, point, { abortSignal: signal });
    await deleting.submitted();
    const refusal = await refusalOf(async () => {
      const { poller } = await stage.beginPoint("three", signal);
      await poller.pollUntilDone({ abortSignal: signal });
    }, signal);
    await deleting.pollUntilDone({ abortSignal: signal });
    if (refusal === undefined) return answer(true, "it is made");
    if (refusal.meaning === "throttled") {
      const found = `three restore points an hour are the most, and others were made before: ${refusal.shown}`;
      return { verdict: "could not be tried", found };
    }
    return answer(refusal.isRetried, `refused: ${refusal.shown} (${refusal.meaning})`);
  },
};
