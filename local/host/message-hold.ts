/**
 * One received message while its function runs: keeps it invisible, and ends it.
 *
 * 1. It is renewed at half of its invisible time, again and again, until it ends.
 * 2. Each renewal gives a new pop receipt; only the newest ends the message. So nothing ends it while a renewal is on
 *    its way.
 * 3. A message that is gone, or in other hands, is a debug line and no failure: it will run, or ran, somewhere else.
 */
import type { DequeuedMessageItem, QueueClient } from "@azure/storage-queue";
import { describeError, type LogSink } from "./log.ts";
import { isMessageLost } from "./queue-sender.ts";

export interface HoldOptions {
  readonly visibilityMs: number;
  readonly renewalMs: number;
  readonly category: string;
  readonly log: LogSink;
}

export class MessageHold {
  readonly #queue: QueueClient;
  readonly #message: DequeuedMessageItem;
  readonly #options: HoldOptions;
  #popReceipt: string;
  #timer: NodeJS.Timeout | undefined;
  #renewal: Promise<void> = Promise.resolve();
  #held = true;

  constructor(queue: QueueClient, message: DequeuedMessageItem, options: HoldOptions) {
    this.#queue = queue;
    this.#message = message;
    this.#options = options;
    this.#popReceipt = message.popReceipt;
    this.#renewLater();
  }

  /** Done: the message is deleted. */
  async delete(): Promise<void> {
    await this.#end("deleted", () => this.#queue.deleteMessage(this.#message.messageId, this.#popReceipt));
  }

  /** To be tried again after a delay, in whole seconds. */
  async release(delayMs: number): Promise<void> {
    const seconds = Math.ceil(delayMs / 1000);
    await this.#end("released", () =>
      // Without a text: the message keeps its own.
      this.#queue.updateMessage(this.#message.messageId, this.#popReceipt, undefined, seconds),
    );
  }

  /** No more renewals: it becomes visible when its time is up. */
  async letGo(): Promise<void> {
    this.#held = false;
    clearTimeout(this.#timer);
    await this.#renewal;
  }

  async #end(what: string, request: () => Promise<unknown>): Promise<void> {
    await this.letGo();
    try {
      await request();
    } catch (error) {
      const level = isMessageLost(error) ? "debug" : "error";
      const text = `The message ${this.#message.messageId} of ${this.#queue.name} could not be ${what}`;
      this.#options.log(level, this.#options.category, `${text}, so it will run again: ${describeError(error)}`);
    }
  }

  #renewLater(): void {
    this.#timer = setTimeout(() => {
      this.#renewal = this.#renew();
    }, this.#options.renewalMs);
  }

  async #renew(): Promise<void> {
    const { visibilityMs, category, log } = this.#options;
    const { messageId } = this.#message;
    try {
      const renewed = await this.#queue.updateMessage(messageId, this.#popReceipt, undefined, visibilityMs / 1000);
      this.#popReceipt = renewed.popReceipt ?? this.#popReceipt;
    } catch (error) {
      if (isMessageLost(error)) {
        log("debug", category, `The message ${messageId} is not this host's any more: ${describeError(error)}`);
        return;
      }
      // The real host shuts down at this. Here the next renewal tries again.
      log("error", category, `The message ${messageId} could not be kept invisible: ${describeError(error)}`);
    }
    if (this.#held) this.#renewLater();
  }
}
