import { answer, type Check } from "../check.ts";
import { refusalOf } from "../platform-error.ts";

export const endWithoutAccess: Check = {
  name: "end-without-access",
  question: "Is endGetAccess on something that has no SAS an error?",
  assumed: "no: it is given back before anything is removed, whoever has it",
  relies: { file: "shared/adapters/azure/managed/remove-made.ts", line: "await access.giveBack(reference, signal);" },
  async ask(stage, signal) {
    const { second } = await stage.generations(signal);
    const told: string[] = [];
    let isAssumed = true;
    for (const [what, id] of [
      ["snapshot", second.snapshotId],
      ["restore point", second.diskPointId],
    ] as const) {
      const refusal = await refusalOf(() => stage.revoke(id, signal), signal);
      // "Not there" is what giving back takes for done.
      isAssumed &&= refusal === undefined || refusal.meaning === "not-found";
      told.push(`${what}: ${refusal === undefined ? "no error" : refusal.shown}`);
    }
    return answer(isAssumed, told.join("; "));
  },
};
