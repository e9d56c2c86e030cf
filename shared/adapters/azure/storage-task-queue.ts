/**
 * The queues of Queue storage, one for each kind of task, made when the first message is sent. Messages are base64, as the
 * Functions host expects by default; Queue storage would also damage some control characters of a plain text.
 */
import type { QueueClient, QueueServiceClient } from "@azure/storage-queue";
import type { Task, TaskKind } from "../../core/task.ts";
import { checkDelay, type TaskQueue } from "../../ports/task-queue.ts";
import { encodeTask } from "../../wire/task.ts";
import { isAnswer, storageCall } from "./storage-call.ts";
import { queueService, type StorageConnection } from "./storage-connection.ts";

export class StorageTaskQueue implements TaskQueue {
  readonly #service: QueueServiceClient;
  readonly #queues = new Map<TaskKind, QueueClient>();

  constructor(connection: StorageConnection) {
    this.#service = queueService(connection);
  }

  async send(task: Task, delayMs: number, signal: AbortSignal): Promise<void> {
    checkDelay(delayMs);
    const queue = this.#queueOf(task.kind);
    const content = Buffer.from(encodeTask(task), "utf8").toString("base64");
    await storageCall(`send a message to the queue ${task.kind}`, signal, async (abortSignal) => {
      const send = async () =>
        queue.sendMessage(content, {
          visibilityTimeout: Math.ceil(delayMs / 1000),
          // It never expires: by default a message would be gone after the seven days that it may be hidden.
          messageTimeToLive: -1,
          abortSignal,
        });
      try {
        await send();
      } catch (error) {
        if (!isAnswer(error, "QueueNotFound")) throw error;
        await queue.createIfNotExists({ abortSignal });
        await send();
      }
    });
  }

  #queueOf(kind: TaskKind): QueueClient {
    const known = this.#queues.get(kind);
    if (known !== undefined) return known;
    const queue = this.#service.getQueueClient(kind);
    this.#queues.set(kind, queue);
    return queue;
  }
}
