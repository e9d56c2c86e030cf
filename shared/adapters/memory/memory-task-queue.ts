/**
 * The queues in memory, for tests and the simulation: messages with the instants at which they become visible, deliveries
 * that are counted, and the freedom to deliver any of them, early, late or twice. Deterministic: ids count up.
 */
import type { Task, TaskKind } from "../../core/task.ts";
import type { Clock } from "../../ports/clock.ts";
import { checkDelay, type TaskQueue } from "../../ports/task-queue.ts";
import { encodeTask, parseTask } from "../../wire/task.ts";

export interface PendingTask {
  /** Counts up in the order of sending. */
  readonly messageId: number;
  readonly kind: TaskKind;
  /** Parsed anew from the text of the message. */
  readonly task: Task;
  /** By the queue's clock, in milliseconds since 1970-01-01 UTC. */
  readonly visibleAtMs: number;
  /** How often `receive` gave it out. */
  readonly deliveries: number;
}

interface Message {
  readonly messageId: number;
  readonly kind: TaskKind;
  readonly text: string;
  visibleAtMs: number;
  deliveries: number;
}

export class MemoryTaskQueue implements TaskQueue {
  readonly #clock: Pick<Clock, "now">;
  readonly #messages = new Map<number, Message>();
  #sent = 0;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  async send(task: Task, delayMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    checkDelay(delayMs);
    await Promise.resolve();
    const messageId = ++this.#sent;
    const message = {
      messageId,
      kind: task.kind,
      text: encodeTask(task),
      visibleAtMs: this.#clock.now() + delayMs,
      deliveries: 0,
    };
    this.#messages.set(messageId, message);
  }

  /** Every message that nobody removed, hidden ones too, by the instant they become visible, then by sending. */
  pending(): readonly PendingTask[] {
    return [...this.#messages.values()]
      .map(seen)
      .sort((a, b) => a.visibleAtMs - b.visibleAtMs || a.messageId - b.messageId);
  }

  /** The next visible message (of this kind), hidden for `visibilityMs` from now: removed by then or delivered again. */
  receive(visibilityMs: number, kind?: TaskKind): PendingTask | undefined {
    const now = this.#clock.now();
    const next = this.pending().find((task) => task.visibleAtMs <= now && (kind === undefined || task.kind === kind));
    return next === undefined ? undefined : this.deliver(next.messageId, visibilityMs);
  }

  /** This message, visible or not. */
  deliver(messageId: number, visibilityMs: number): PendingTask | undefined {
    const message = this.#messages.get(messageId);
    if (message === undefined) return undefined;
    message.deliveries++;
    message.visibleAtMs = this.#clock.now() + visibilityMs;
    return seen(message);
  }

  /** Its work is done. */
  remove(messageId: number): boolean {
    return this.#messages.delete(messageId);
  }

  /** Its work failed: visible again after `delayMs`. */
  release(messageId: number, delayMs: number): void {
    const message = this.#messages.get(messageId);
    if (message !== undefined) message.visibleAtMs = this.#clock.now() + delayMs;
  }
}

function seen(message: Message): PendingTask {
  const { messageId, kind, text, visibleAtMs, deliveries } = message;
  return { messageId, kind, task: parseTask(text), visibleAtMs, deliveries };
}
