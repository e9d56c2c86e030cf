import { answer, type Check } from "../check.ts";
import { refusalOf, type Refusal } from "../platform-error.ts";

export const errorCodes: Check = {
  name: "error-codes",
  question:
    "With which codes are a snapshot that is not there, one that is shared, and a sixth SAS of a family refused?",
  assumed: "the first means not-found, the others are tried again later",
  relies: { file: "shared/adapters/azure/managed/arm-errors.ts", line: "DiskRestorePointUsedByCustomer: " },
  async ask(stage, signal) {
    const { first, second } = await stage.generations(signal);
    const seen: (readonly [what: string, refusal: Refusal | undefined, isAssumed: boolean])[] = [];
    const missing = await refusalOf(
      () => stage.client.snapshots.get(stage.group, `${stage.prefix}-never`, { abortSignal: signal }),
      signal,
    );
    seen.push(["not there", missing, missing?.meaning === "not-found"]);
    const snapshots = [first.snapshotId, second.snapshotId];
    const { creationData } = await stage.client.snapshots.get(stage.group, nameOf(first.snapshotId), {
      abortSignal: signal,
    });
    for (const name of ["three", "four", "five", "six"]) {
      snapshots.push(await stage.snapshot(name, creationData?.sourceResourceId ?? "", signal));
    }
    const [sixth = "", ...five] = snapshots.toReversed();
    await stage.withSas(
      five,
      async () => {
        const shared = await refusalOf(
          () =>
            stage.client.snapshots
              .delete(stage.group, nameOf(first.snapshotId), { abortSignal: signal })
              .pollUntilDone({ abortSignal: signal }),
          signal,
        );
        seen.push(["shared", shared, shared?.isRetried === true]);
        const more = await refusalOf(() => stage.withSas([sixth], async () => undefined, signal), signal);
        seen.push(["a sixth SAS", more, more?.isRetried === true]);
      },
      signal,
    );
    const told = seen.map(
      ([what, refusal]) => `${what}: ${refusal === undefined ? "no error" : `${refusal.shown} (${refusal.meaning})`}`,
    );
    return answer(
      seen.every(([, , isAssumed]) => isAssumed),
      told.join("; "),
    );
  },
};

function nameOf(id: string): string {
  return id.split("/").at(-1) ?? "";
}
