import { describe, expect, test } from "vitest";
import { attemptId } from "../../../shared/core/ids.ts";
import { taskKinds, type Task } from "../../../shared/core/task.ts";
import { encodeTask, parseTask } from "../../../shared/wire/task.ts";
import { sampleRunId } from "../../support/sample-rows.ts";

const runId = sampleRunId(1);
const tasks: readonly Task[] = [
  { kind: "start-backup", runId },
  { kind: "copy-window", runId, attemptId: attemptId(runId, 2), window: 3 },
  { kind: "commit-restore-point", runId, attemptId: attemptId(runId, 2) },
  { kind: "start-restore", runId },
  { kind: "restore-window", runId, window: 0 },
  { kind: "finish-restore", runId },
];

describe("A queue message", () => {
  test("of each kind comes back, from its text and from the object that the Functions host made of it", () => {
    expect(tasks.map((task) => task.kind)).toEqual(taskKinds);
    for (const task of tasks) {
      expect(parseTask(encodeTask(task))).toEqual(task);
      expect(parseTask(JSON.parse(encodeTask(task)))).toEqual(task);
    }
  });

  test("carries no property that the Functions host takes for its own", () => {
    const reserved = ["id", "dequeueCount", "popReceipt", "queueTrigger", "insertionTime", "expirationTime"];
    for (const task of tasks) {
      const names = Object.keys(JSON.parse(encodeTask(task)) as object);
      expect(names.filter((name) => [...reserved, "nextVisibleTime"].includes(name))).toEqual([]);
    }
  });

  test.each([
    ["no JSON", "hello", /not JSON/],
    ["another version", { version: 2, kind: "start-backup", runId }, /version/],
    ["no version", { kind: "start-backup", runId }, /version/],
    ["an unknown kind", { version: 1, kind: "dance", runId }, /kind/],
    ["a bad id", { version: 1, kind: "start-backup", runId: "1" }, /runId: "1" is not a run id/],
    ["a property too many", { version: 1, kind: "start-backup", runId, state: "x" }, /state/],
    ["nothing", null, /message/],
  ])("with %s is refused and says why", (_, content, why) => {
    expect(() => parseTask(content)).toThrow(why);
  });
});
