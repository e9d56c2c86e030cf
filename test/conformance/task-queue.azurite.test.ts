import { setTimeout as sleep } from "node:timers/promises";
import { QueueServiceClient } from "@azure/storage-queue";
import { afterAll, beforeAll, describe } from "vitest";
import { StorageTaskQueue } from "../../shared/adapters/azure/storage-task-queue.ts";
import { parseTask } from "../../shared/wire/task.ts";
import { startTestAzurite, type TestAzurite } from "../support/test-azurite.ts";
import { taskQueueConformance } from "./task-queue.suite.ts";

let region: TestAzurite;
beforeAll(async () => {
  region = await startTestAzurite();
});
afterAll(async () => region.azurite.stop());

describe("The task queue in Queue storage", () => {
  taskQueueConformance(async () => {
    const service = QueueServiceClient.fromConnectionString(region.connectionString);
    return Promise.resolve({
      queue: new StorageTaskQueue(region.connection),
      drain: async (kind) => {
        const queue = service.getQueueClient(kind);
        const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 32 });
        for (const message of receivedMessageItems) await queue.deleteMessage(message.messageId, message.popReceipt);
        return receivedMessageItems.map((message) =>
          parseTask(Buffer.from(message.messageText, "base64").toString("utf8")),
        );
      },
      waitMs: sleep,
    });
  });
});
