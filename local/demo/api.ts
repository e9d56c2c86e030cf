/** The HTTP API as the demo uses it: plain fetch, no client of ours in between. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "../stack/stack.ts";

export interface DemoRunDisk {
  readonly name: string;
  readonly sizeBytes: number;
  readonly changedBytes: number;
  readonly readBytes: number;
  readonly newChunks: number;
  readonly newBytes: number;
  readonly storedBytes: number;
  readonly mode: "full" | "incremental";
}

export interface DemoRun {
  readonly runId: string;
  readonly state: string;
  readonly trigger: string;
  readonly consistency?: string;
  readonly skewMs?: number;
  readonly restorePointId?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly error?: { readonly code: string; readonly message: string };
  readonly disks: readonly DemoRunDisk[];
}

const patienceMs = 300_000;

export class DemoApi {
  readonly #stack: Stack;
  readonly #signal: AbortSignal;

  constructor(stack: Stack, signal: AbortSignal) {
    this.#stack = stack;
    this.#signal = signal;
  }

  async put(path: string, body: unknown): Promise<void> {
    await this.#call("PUT", path, body);
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return (await this.#call("POST", path, body)) as T;
  }

  /** The newest first. */
  async runsOf(vm: string): Promise<readonly DemoRun[]> {
    const page = (await this.#call("GET", `runs?vm=${vm}`)) as { readonly items: readonly DemoRun[] };
    return page.items;
  }

  /** Waits for the run's end. */
  async finished(runId: string): Promise<DemoRun> {
    return this.reached(runId, (run) => ["succeeded", "failed", "cancelled"].includes(run.state));
  }

  /** Waits until the run is as wanted. */
  async reached(runId: string, wanted: (run: DemoRun) => boolean): Promise<DemoRun> {
    const until = performance.now() + patienceMs;
    while (performance.now() < until) {
      const run = (await this.#call("GET", `runs/${runId}`)) as DemoRun;
      if (wanted(run)) return run;
      await sleep(300, undefined, { signal: this.#signal });
    }
    throw new Error(`Run ${runId} did not get on within ${patienceMs / 1000} seconds.`);
  }

  /** Makes a timer function run now, as an operator of a function app can. */
  async fireTimer(name: string): Promise<void> {
    await this.#send("POST", `admin/functions/${name}`, this.#stack.file.masterKey, { input: "" });
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    return await this.#send(method, `api/${path}`, this.#stack.apiKey, body);
  }

  async #send(method: string, path: string, key: string, body: unknown): Promise<unknown> {
    const response = await fetch(`${this.#stack.apiUrl}/${path}`, {
      method,
      signal: this.#signal,
      headers: { "x-functions-key": key, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }
}
