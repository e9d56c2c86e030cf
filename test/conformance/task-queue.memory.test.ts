import { describe } from "vitest";
import { MemoryTaskQueue } from "../../shared/adapters/memory/memory-task-queue.ts";
import { taskQueueConformance } from "./task-queue.suite.ts";

describe("The task queue in memory", () => {
  let now = 0;
  taskQueueConformance(async () => {
    const queue = new MemoryTaskQueue({ now: () => now });
    return Promise.resolve({
      queue,
      drain: async (kind) => {
        const tasks = [];
        for (let next = queue.receive(1, kind); next !== undefined; next = queue.receive(1, kind)) {
          tasks.push(next.task);
          queue.remove(next.messageId);
        }
        return Promise.resolve(tasks);
      },
      waitMs: async (ms) => {
        now += ms;
        return Promise.resolve();
      },
    });
  });
});
