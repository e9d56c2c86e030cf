/** Sends messages to queues, which are made where they are missing, and wakes the listeners of this host on them. */
import type { QueueClient } from "@azure/storage-queue";
import { FarsideError } from "../../shared/core/errors.ts";
import { queueServiceOf, type StorageConnection } from "./connections.ts";
import type { QueueOutput } from "./function-table.ts";
import { encodeMessage } from "./queue-message.ts";
import type { NamedData, TypedData } from "./worker-protocol.ts";

export class QueueSender {
  readonly #encoding: "base64" | "none";
  readonly #clients = new Map<string, Promise<QueueClient>>();
  readonly #listeners = new Map<string, Set<() => void>>();

  constructor(encoding: "base64" | "none") {
    this.#encoding = encoding;
  }

  clientOf(connection: StorageConnection, queueName: string): Promise<QueueClient> {
    const key = `${JSON.stringify(connection)} ${queueName}`;
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const made = queueServiceOf(connection).then((service) => service.getQueueClient(queueName));
    this.#clients.set(key, made);
    return made;
  }

  /** Calls back after each message that this host sends to the queue. */
  onSent(queue: QueueClient, wake: () => void): void {
    const listeners = this.#listeners.get(queue.url) ?? new Set();
    this.#listeners.set(queue.url, listeners.add(wake));
  }

  /** Sends a body as it is, without encoding it. */
  async sendRaw(queue: QueueClient, body: string): Promise<void> {
    try {
      await queue.sendMessage(body);
    } catch (error) {
      if (!hasStorageCode(error, "QueueNotFound")) throw error;
      await queue.createIfNotExists();
      await queue.sendMessage(body);
    }
    for (const wake of this.#listeners.get(queue.url) ?? []) wake();
  }

  /**
   * Writes the queue outputs of an invocation that succeeded: one after another, each element of an array as a message
   * of its own, in order. Not atomic: what was sent before a failure stays sent.
   */
  async sendOutputs(
    outputs: readonly QueueOutput[],
    outputData: readonly NamedData[],
    returnValue: TypedData | undefined,
  ): Promise<void> {
    for (const output of outputs) {
      const data = output.name === "$return" ? returnValue : outputData.find(({ name }) => name === output.name)?.data;
      const queue = await this.clientOf(output.connection, output.queueName);
      for (const message of messagesOf(data)) await this.sendRaw(queue, encodeMessage(message, this.#encoding));
    }
  }
}

/** @throws FarsideError `bad-input` for a value that is no message. */
export function messagesOf(data: TypedData | undefined): (string | Uint8Array)[] {
  if (data === undefined) return [];
  if (data.string !== undefined) return [data.string];
  if (data.bytes !== undefined) return [data.bytes];
  if (data.int !== undefined) return [String(data.int)];
  if (data.double !== undefined) return [String(data.double)];
  if (data.json === undefined) throw new FarsideError("bad-input", "A queue output has a value that is no message.");
  const value: unknown = JSON.parse(data.json);
  if (!Array.isArray(value)) return [data.json];
  return value.map((element: unknown) => (typeof element === "string" ? element : JSON.stringify(element)));
}

export function hasStorageCode(error: unknown, ...codes: readonly string[]): boolean {
  const found = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof found === "string" && codes.includes(found);
}

/** Whether an answer says that a message is gone or in other hands. */
export function isMessageLost(error: unknown): boolean {
  return hasStorageCode(error, "MessageNotFound", "PopReceiptMismatch", "QueueNotFound", "QueueBeingDeleted");
}
