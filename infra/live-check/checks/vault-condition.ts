import { answer, type Check } from "../check.ts";
import { hasCode } from "../../../shared/core/errors.ts";

/** By whoever has the writer's roles with their conditions, and nothing more. */
export const vaultCondition: Check = {
  name: "vault-condition",
  question:
    "Do the vault writer's roles with their conditions let it add anywhere, and overwrite and delete under work/ alone?",
  assumed: "yes: add/action is enough for a blob that is new",
  relies: { file: "infra/roles/conditions/vault-writer.txt", line: "StringLike 'work/*'" },
  async ask(stage, signal) {
    const { vault } = stage;
    if (vault === undefined) return { verdict: "could not be tried", found: "no --vault was given" };
    // A reader of a vault passes over what lies there.
    const kept = `quarantine/${stage.prefix}`;
    const work = `work/${stage.prefix}`;
    const content = Buffer.from("probe\n");
    const steps: readonly (readonly [what: string, isAllowed: boolean, step: () => Promise<unknown>])[] = [
      ["adding", true, () => vault.create(kept, content, signal)],
      ["overwriting", false, () => vault.put(kept, content, signal)],
      ["refreshing", false, () => vault.refresh(kept, signal)],
      ["deleting", false, () => vault.remove(kept, {}, signal)],
      ["adding work", true, () => vault.put(work, content, signal)],
      ["overwriting work", true, () => vault.put(work, content, signal)],
      ["refreshing work", true, () => vault.refresh(work, signal)],
      ["deleting work", true, () => vault.remove(work, {}, signal)],
    ];
    const unlike: string[] = [];
    for (const [what, isAllowed, step] of steps) {
      const isRefused = await step().then(
        () => false,
        (error: unknown) => {
          if (hasCode(error, "forbidden")) return true;
          throw error;
        },
      );
      if (isRefused === isAllowed) unlike.push(`${what} is ${isRefused ? "refused" : "allowed"}`);
    }
    const left = unlike.includes("deleting is allowed") ? "" : `; ${kept} is left, for who may delete`;
    return answer(unlike.length === 0, `${unlike.length === 0 ? "all as it should be" : unlike.join(", ")}${left}`);
  },
};
