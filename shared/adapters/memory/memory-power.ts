/** Machines in memory, for tests and the simulation: what stops and starts takes its time by the source's clock, or does not work out. */
import { FarsideError } from "../../core/errors.ts";
import type { VmSource } from "../../core/vm.ts";
import type { MachinePower, PowerPhase, PowerStep } from "../../ports/machine-power.ts";

interface Move {
  readonly operation: string;
  readonly to: "running" | "stopped";
  readonly endsAtMs: number;
  readonly fails?: FarsideError;
}

export class MemoryPower implements MachinePower {
  /** How long each takes, in milliseconds; `Infinity` never ends. */
  stopTakesMs = 60_000;
  startTakesMs = 30_000;
  /** What the next starts end with, one each. */
  readonly failingStarts: FarsideError[] = [];
  readonly failingStops: FarsideError[] = [];
  /** Requests that had an effect, in their order. */
  readonly asked: ("stop" | "start")[] = [];
  readonly #now: () => number;
  readonly #standing = new Map<string, "running" | "stopped">();
  readonly #moves = new Map<string, Move>();
  readonly #ended = new Map<string, Move>();

  /** `now`: the source's clock, in milliseconds since 1970-01-01 UTC. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** As it is now; every machine runs until it is stopped. */
  phaseOf(source: VmSource): PowerPhase {
    const key = keyOf(source);
    this.#settle(key);
    const move = this.#moves.get(key);
    if (move !== undefined) return move.to === "running" ? "starting" : "stopping";
    return this.#standing.get(key) ?? "running";
  }

  /** By somebody else, at once. */
  put(source: VmSource, phase: "running" | "stopped"): void {
    this.#moves.delete(keyOf(source));
    this.#standing.set(keyOf(source), phase);
  }

  async state(source: VmSource, signal: AbortSignal): Promise<PowerPhase> {
    await turn(signal);
    return this.phaseOf(source);
  }

  async stop(source: VmSource, signal: AbortSignal): Promise<PowerStep> {
    await turn(signal);
    return this.#begin("stop", source, this.stopTakesMs, this.failingStops);
  }

  async start(source: VmSource, signal: AbortSignal): Promise<PowerStep> {
    await turn(signal);
    return this.#begin("start", source, this.startTakesMs, this.failingStarts);
  }

  async look(source: VmSource, operation: string, signal: AbortSignal): Promise<PowerStep> {
    await turn(signal);
    const key = keyOf(source);
    this.#settle(key);
    const ended = this.#ended.get(operation);
    if (ended === undefined) return { kind: "waiting", operation, retryAfterMs: 10_000 };
    if (ended.fails !== undefined) throw ended.fails;
    return { kind: "done" };
  }

  #begin(what: "stop" | "start", source: VmSource, takesMs: number, failing: FarsideError[]): PowerStep {
    const key = keyOf(source);
    const to = what === "stop" ? "stopped" : "running";
    const phase = this.phaseOf(source);
    if (phase === to) return { kind: "done" };
    const move = this.#moves.get(key);
    // The platform does one thing at a time; what never ends gives way.
    if (move !== undefined && move.to !== to && move.endsAtMs !== Infinity) {
      throw new FarsideError("conflict", `The machine is ${phase}: it cannot ${what} now.`);
    }
    if (move?.to !== to) {
      this.asked.push(what);
      const fails = failing.shift();
      const operation = `${what} ${key} ${this.asked.length}`;
      const ending = fails === undefined ? {} : { fails };
      this.#moves.set(key, { operation, to, endsAtMs: this.#now() + takesMs, ...ending });
    }
    return { kind: "waiting", operation: this.#moves.get(key)?.operation ?? "", retryAfterMs: 10_000 };
  }

  #settle(key: string): void {
    const move = this.#moves.get(key);
    if (move === undefined || move.endsAtMs > this.#now()) return;
    this.#moves.delete(key);
    this.#ended.set(move.operation, move);
    if (move.fails === undefined) this.#standing.set(key, move.to);
  }
}

function keyOf(source: VmSource): string {
  return source.kind === "managed" ? source.resourceId : (source.disks[0]?.url ?? "");
}

async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await Promise.resolve();
}
