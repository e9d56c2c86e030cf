/**
 * Fetches the messages of one queue and runs their function.
 *
 * 1. A batch is fetched when no more than newBatchThreshold messages run; at most batchSize + newBatchThreshold run.
 * 2. Success deletes the message. Failure makes it visible again after visibilityTimeout; from the maxDequeueCount-th
 *    failure on it is copied to the poison queue and then deleted (two steps: a copy may be doubled, never lost).
 * 3. A message that was delivered more often than that goes to the poison queue without running: its earlier runs
 *    ended with their process.
 * 4. A message that is not encoded as it should be goes to the poison queue at once.
 * 5. A queue without a poison queue (a poison queue itself): a failed message stays invisible for the rest of its time,
 *    and one delivered too often is not run again.
 */
import type { DequeuedMessageItem, QueueClient } from "@azure/storage-queue";
import { setTimeout as sleep } from "node:timers/promises";
import type { FunctionRunner } from "./function-runner.ts";
import type { QueueFunction } from "./function-table.ts";
import type { QueueConfiguration } from "./host-json.ts";
import { describeError, type LogSink } from "./log.ts";
import { MessageHold } from "./message-hold.ts";
import { PollingDelay } from "./polling-delay.ts";
import { decodeMessage, poisonQueueName, triggerMetadata } from "./queue-message.ts";
import { hasStorageCode, type QueueSender } from "./queue-sender.ts";

export interface QueueListenerOptions {
  readonly entry: QueueFunction;
  readonly configuration: QueueConfiguration;
  readonly runner: FunctionRunner;
  readonly sender: QueueSender;
  /** How long a fetched message stays invisible without a renewal; whole seconds. */
  readonly visibilityMs: number;
  readonly renewalMs: number;
  readonly minPollingIntervalMs: number;
  readonly log: LogSink;
}

export class QueueListener {
  readonly #options: QueueListenerOptions;
  readonly #queue: QueueClient;
  readonly #poison: QueueClient | undefined;
  readonly #delay: PollingDelay;
  readonly #category: string;
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #abandon = new AbortController();
  #wakeUp: () => void = () => undefined;
  #woken = false;
  #failing = false;
  #loop: Promise<void> = Promise.resolve();

  private constructor(options: QueueListenerOptions, queue: QueueClient, poison: QueueClient | undefined) {
    this.#options = options;
    this.#queue = queue;
    this.#poison = poison;
    this.#category = `Host.Triggers.Queue.${options.entry.name}`;
    this.#delay = new PollingDelay(options.minPollingIntervalMs, options.configuration.maxPollingIntervalMs);
  }

  /** Makes one without fetching anything yet. */
  static async prepare(options: QueueListenerOptions): Promise<QueueListener> {
    const { entry, sender } = options;
    const poisonName = poisonQueueName(entry.queueName);
    const queue = await sender.clientOf(entry.connection, entry.queueName);
    const poison = poisonName === undefined ? undefined : await sender.clientOf(entry.connection, poisonName);
    return new QueueListener(options, queue, poison);
  }

  start(): void {
    this.#options.sender.onSent(this.#queue, () => this.#wake());
    this.#loop = this.#listen();
  }

  /** Fetches nothing more. What is on its way in when this is called is made visible again. */
  async stopFetching(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    const late = setTimeout(() => this.#abandon.abort(), 5000);
    await this.#loop;
    clearTimeout(late);
  }

  /** Resolves when every fetched message has been ended, one way or the other. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #wake(): void {
    this.#woken = true;
    this.#wakeUp();
  }

  async #listen(): Promise<void> {
    const { signal } = this.#stopping;
    const { newBatchThreshold } = this.#options.configuration;
    const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    while (!signal.aborted) {
      this.#woken = false;
      const messages = await this.#fetch();
      if (signal.aborted) {
        await Promise.all(messages.map((message) => this.#hold(message).release(0)));
        return;
      }
      for (const message of messages) this.#begin(message);
      if (messages.length > 0) this.#delay.reset();
      else await this.#pause(this.#delay.next());
      while (this.#running.size > newBatchThreshold && !signal.aborted) await Promise.race([...this.#running, stopped]);
    }
  }

  async #fetch(): Promise<readonly DequeuedMessageItem[]> {
    const { configuration, visibilityMs, log } = this.#options;
    try {
      const answer = await this.#queue.receiveMessages({
        numberOfMessages: configuration.batchSize,
        visibilityTimeout: Math.ceil(visibilityMs / 1000),
        abortSignal: this.#abandon.signal,
      });
      if (this.#failing) log("information", this.#category, `Messages of ${this.#queue.name} are fetched again.`);
      this.#failing = false;
      return answer.receivedMessageItems;
    } catch (error) {
      // A queue that nobody has made yet is an empty queue: triggers do not make theirs.
      if (hasStorageCode(error, "QueueNotFound") || this.#stopping.signal.aborted) return [];
      const text = `Messages of ${this.#queue.name} cannot be fetched`;
      // Said once for each outage.
      if (!this.#failing) log("error", this.#category, `${text}; trying on: ${describeError(error)}`);
      this.#failing = true;
      return [];
    }
  }

  async #pause(ms: number): Promise<void> {
    if (this.#woken) return;
    const timer = new AbortController();
    const woken = new Promise<void>((resolve) => (this.#wakeUp = resolve));
    await Promise.race([sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined), woken]);
    timer.abort();
  }

  #begin(message: DequeuedMessageItem): void {
    const run = this.#process(message).catch((error: unknown) => {
      const text = `The message ${message.messageId} of ${this.#queue.name} could not be ended`;
      this.#options.log("error", this.#category, `${text}: ${describeError(error)}`);
    });
    this.#running.add(run);
    void run.then(() => this.#running.delete(run));
  }

  #hold(message: DequeuedMessageItem): MessageHold {
    const { visibilityMs, renewalMs, log } = this.#options;
    return new MessageHold(this.#queue, message, { visibilityMs, renewalMs, category: this.#category, log });
  }

  async #process(message: DequeuedMessageItem): Promise<void> {
    const { entry, configuration, runner, log } = this.#options;
    const hold = this.#hold(message);
    const text = decodeMessage(message.messageText, configuration.messageEncoding);
    const which = `The message ${message.messageId} of ${this.#queue.name}`;
    if (text === undefined) {
      log("error", this.#category, `${which} is not Base64: it is moved to the poison queue.`);
      return this.#toPoison(hold, message);
    }
    if (message.dequeueCount > configuration.maxDequeueCount) {
      log("error", this.#category, `${which} was delivered ${message.dequeueCount} times: it is not run again.`);
      return this.#toPoison(hold, message);
    }
    const end = await runner.run(entry, {
      reason: `New queue message detected on '${this.#queue.name}'.`,
      data: { string: text },
      triggerMetadata: triggerMetadata(message, text),
    });
    if (end.kind === "succeeded") return hold.delete();
    if (this.#poison === undefined) return hold.letGo();
    if (message.dequeueCount < configuration.maxDequeueCount) return hold.release(configuration.visibilityTimeoutMs);
    log("error", this.#category, `${which} failed ${message.dequeueCount} times: it is moved to ${this.#poison.name}.`);
    return this.#toPoison(hold, message);
  }

  async #toPoison(hold: MessageHold, message: DequeuedMessageItem): Promise<void> {
    if (this.#poison === undefined) return hold.letGo();
    try {
      await this.#options.sender.sendRaw(this.#poison, message.messageText);
    } catch (error) {
      await hold.letGo();
      throw error;
    }
    return hold.delete();
  }
}
