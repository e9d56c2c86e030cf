import type { Check } from "../check.ts";
import { compareWith } from "./compare.ts";

export const snapshotAndPoint: Check = {
  name: "snapshot-and-point",
  question: "Do a snapshot and a restore point of one disk share a family, so that they can be compared?",
  assumed: "unknown: a base of the other kind is compared by hash",
  relies: { file: "shared/adapters/azure/managed/managed-disk-source.ts", line: "if (current.kind !== older.kind)" },
  async ask(stage, signal) {
    const { first, second, written } = await stage.generations(signal);
    const points = await stage.diskPointsOf(second.pointId, signal);
    const family = points.find(({ id }) => id === second.diskPointId)?.properties.familyId;
    const name = first.snapshotId.split("/").at(-1) ?? "";
    const { incrementalSnapshotFamilyId } = await stage.client.snapshots.get(stage.group, name, {
      abortSignal: signal,
    });
    return stage.withSas(
      [first.snapshotId, second.diskPointId],
      async ([older = "", newer = ""]) => {
        const { found } = await compareWith(older, newer, written, signal);
        const shared = family !== undefined && family === incrementalSnapshotFamilyId;
        return { verdict: "answered", found: `${shared ? "one family" : "two families"}; compared: ${found}` };
      },
      signal,
    );
  },
};
