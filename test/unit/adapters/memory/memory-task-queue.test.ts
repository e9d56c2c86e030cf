import { describe, expect, test } from "vitest";
import { MemoryTaskQueue } from "../../../../shared/adapters/memory/memory-task-queue.ts";
import { sampleRunId } from "../../../support/sample-rows.ts";

const signal = new AbortController().signal;
const task = (n: number) => ({ kind: "start-backup", runId: sampleRunId(n) }) as const;

describe("The task queue in memory", () => {
  test("shows every message with the instant at which it becomes visible, by that instant", async () => {
    let now = 1000;
    const queue = new MemoryTaskQueue({ now: () => now });
    await queue.send(task(1), 500, signal);
    await queue.send(task(2), 0, signal);
    expect(queue.pending().map(({ task: { runId }, visibleAtMs }) => [runId, visibleAtMs])).toEqual([
      [sampleRunId(2), 1000],
      [sampleRunId(1), 1500],
    ]);
    expect(queue.receive(30_000)?.task).toEqual(task(2));
    expect(queue.receive(30_000)).toBeUndefined();
    now = 1500;
    expect(queue.receive(30_000)?.task).toEqual(task(1));
  });

  test("delivers a message that nobody removed again, and counts", async () => {
    let now = 0;
    const queue = new MemoryTaskQueue({ now: () => now });
    await queue.send(task(1), 0, signal);
    const first = queue.receive(10_000);
    now = 10_000;
    expect(queue.receive(10_000)).toMatchObject({ messageId: first?.messageId, deliveries: 2 });
    queue.release(first?.messageId ?? 0, 0);
    expect(queue.receive(10_000)?.deliveries).toBe(3);
    expect(queue.remove(first?.messageId ?? 0)).toBe(true);
    expect(queue.pending()).toEqual([]);
  });

  test("refuses a delay of more than seven days", async () => {
    const queue = new MemoryTaskQueue({ now: () => 0 });
    await expect(queue.send(task(1), 7 * 86_400_000 + 1, signal)).rejects.toThrow(/7 days/);
    await expect(queue.send(task(1), -1, signal)).rejects.toThrow(/7 days/);
  });
});
