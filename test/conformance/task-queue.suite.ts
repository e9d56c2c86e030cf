/** What every task queue must do, seen through a reader of its messages. */
import { beforeAll, describe, expect, test } from "vitest";
import { attemptId } from "../../shared/core/ids.ts";
import { taskKinds, type Task } from "../../shared/core/task.ts";
import type { TaskQueue } from "../../shared/ports/task-queue.ts";
import { sampleRunId } from "../support/sample-rows.ts";

export interface TaskQueueUnderTest {
  readonly queue: TaskQueue;
  /** Takes every visible message of the kind out of its queue. */
  drain(kind: Task["kind"]): Promise<readonly Task[]>;
  waitMs(ms: number): Promise<void>;
}

export function taskQueueConformance(make: () => Promise<TaskQueueUnderTest>): void {
  const signal = AbortSignal.timeout(200_000);
  const runId = sampleRunId(1);
  let subject: TaskQueueUnderTest;
  beforeAll(async () => {
    subject = await make();
  });

  describe("A task", () => {
    test("of each kind comes out of the queue of its kind, as it went in", async () => {
      const tasks: readonly Task[] = [
        { kind: "start-backup", runId },
        { kind: "copy-window", runId, attemptId: attemptId(runId, 1), window: 7 },
        { kind: "commit-restore-point", runId, attemptId: attemptId(runId, 1) },
        { kind: "start-restore", runId },
        { kind: "restore-window", runId, window: 7 },
        { kind: "finish-restore", runId },
      ];
      for (const task of tasks) await subject.queue.send(task, 0, signal);
      for (const [i, kind] of taskKinds.entries()) expect(await subject.drain(kind)).toEqual([tasks[i]]);
    });

    test("that is sent at once by many into a queue that does not exist yet arrives from each", async () => {
      const kind = "start-restore";
      await Promise.all(
        Array.from({ length: 10 }, (_, n) => subject.queue.send({ kind, runId: sampleRunId(n) }, 0, signal)),
      );
      expect((await subject.drain(kind)).length).toBe(10);
    });

    test("stays hidden until its delay has passed", async () => {
      const task: Task = { kind: "finish-restore", runId };
      await subject.queue.send(task, 1500, signal);
      expect(await subject.drain("finish-restore")).toEqual([]);
      await subject.waitMs(2600);
      expect(await subject.drain("finish-restore")).toEqual([task]);
    });

    test("may be delayed by seven days and no more", async () => {
      const task: Task = { kind: "finish-restore", runId };
      await subject.queue.send(task, 7 * 86_400_000, signal);
      await expect(subject.queue.send(task, 7 * 86_400_000 + 1, signal)).rejects.toThrow(/7 days/);
      await expect(subject.queue.send(task, -1, signal)).rejects.toThrow(/7 days/);
      expect(await subject.drain("finish-restore")).toEqual([]);
    });
  });
}
