import { answer, type Check } from "../check.ts";
import { compareWith } from "./compare.ts";

export const restorePointDiff: Check = {
  name: "restore-point-diff",
  question: "Are two restore points of a disk compared by their SAS (x-ms-previous-snapshot-url)?",
  assumed: "yes, and everything that was written between them is listed",
  relies: {
    file: "shared/adapters/azure/managed/managed-disk-source.ts",
    line: "this.#lister([current, older], what, signal)",
  },
  async ask(stage, signal) {
    const { first, second, written } = await stage.generations(signal);
    return stage.withSas(
      [first.diskPointId, second.diskPointId],
      async ([older = "", newer = ""]) => {
        const { isExact, found } = await compareWith(older, newer, written, signal);
        return answer(isExact, found);
      },
      signal,
    );
  },
};
