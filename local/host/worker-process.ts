/**
 * The host's side of one worker process: starts it, hands it invocations, and knows how each of them ended.
 *
 * 1. Every invocation ends: with the worker's answer, or, when the process ends, as `worker-ended`.
 * 2. Except in a retired worker (see retire): what still runs in it is lost without a word, as in Azure.
 */
import { fork, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { FarsideError } from "../../shared/core/errors.ts";
import type { LogSink } from "./log.ts";
import type { FromWorker, InvokeRequest, NamedData, Registration, ToWorker, TypedData } from "./worker-protocol.ts";

export interface WorkerProcessOptions {
  readonly appFolder: string;
  readonly hostVersion: string;
  readonly environment: Readonly<Record<string, string>>;
  /** More arguments for Node.js. */
  readonly nodeArguments: readonly string[];
  readonly startTimeoutMs: number;
  readonly log: LogSink;
}

export type WorkerAnswer =
  | {
      readonly kind: "succeeded";
      readonly outputData: readonly NamedData[];
      readonly returnValue: TypedData | undefined;
    }
  | { readonly kind: "threw"; readonly message: string; readonly stack: string }
  | { readonly kind: "worker-ended"; readonly message: string };

export interface WorkerEnd {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

export class WorkerProcess {
  readonly functions: readonly Registration[];
  /** Resolves when the process has ended. Never rejects. */
  readonly ended: Promise<WorkerEnd>;
  readonly #child: ChildProcess;
  readonly #running = new Map<string, (answer: WorkerAnswer) => void>();
  #retired = false;
  #gone: WorkerEnd | undefined;

  private constructor(child: ChildProcess, ended: Promise<WorkerEnd>, functions: readonly Registration[]) {
    this.#child = child;
    this.ended = ended;
    this.functions = functions;
    child.on("message", (message: FromWorker) => this.#receive(message));
    void ended.then((end) => this.#processEnded(end));
  }

  /**
   * Starts a process and loads the app in it.
   * @throws FarsideError `bad-configuration` where the app fails to load, `unavailable` where the process ends or is not ready in time.
   */
  static async start(options: WorkerProcessOptions): Promise<WorkerProcess> {
    const { log } = options;
    const child = fork(workerFile(), [], {
      cwd: options.appFolder,
      env: { ...machineEnvironment(), ...options.environment },
      execArgv: ["--enable-source-maps", ...options.nodeArguments],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      serialization: "advanced",
      // A process group of its own: Ctrl-C is for the host, which ends the worker when its time has come.
      detached: true,
    });
    relayLines(child.stdout, (line) => log("information", "Worker.Console", line));
    relayLines(child.stderr, (line) => log("error", "Worker.Console", line));
    const ended = new Promise<WorkerEnd>((resolve) => {
      child.once("close", (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
      child.once("error", () =>
        child.pid === undefined ? resolve({ code: undefined, signal: undefined }) : undefined,
      );
    });
    child.on("message", (message: FromWorker) => {
      if (message.kind === "log") log(message.level, message.category, message.message);
    });
    try {
      const functions = await startedFunctions(child, ended, options);
      return new WorkerProcess(child, ended, functions);
    } catch (error) {
      child.kill("SIGKILL");
      await ended;
      throw error;
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Ids of what runs in it now. */
  get running(): readonly string[] {
    return [...this.#running.keys()];
  }

  invoke(request: InvokeRequest): Promise<WorkerAnswer> {
    return new Promise((resolve) => {
      if (this.#gone !== undefined) {
        resolve(endedAnswer(this.#gone));
        return;
      }
      this.#running.set(request.invocationId, resolve);
      sendTo(this.#child, { kind: "invoke", request });
    });
  }

  /** From now on nothing more is heard of what runs in it. */
  retire(): void {
    this.#retired = true;
  }

  /** Lets the app's appTerminate hooks run, and kills the process when they take too long. */
  async terminate(graceMs: number): Promise<WorkerEnd> {
    sendTo(this.#child, { kind: "terminate" });
    const timer = setTimeout(() => this.kill(), graceMs);
    const end = await this.ended;
    clearTimeout(timer);
    return end;
  }

  kill(): void {
    if (this.#gone === undefined) this.#child.kill("SIGKILL");
  }

  #receive(message: FromWorker): void {
    if (this.#retired) return;
    if (message.kind === "succeeded") {
      const { outputData, returnValue } = message;
      this.#settle(message.invocationId, { kind: "succeeded", outputData, returnValue });
    } else if (message.kind === "failed") {
      const { stack } = message;
      this.#settle(message.invocationId, { kind: "threw", message: message.message, stack });
    }
  }

  #processEnded(end: WorkerEnd): void {
    this.#gone = end;
    if (this.#retired) return;
    for (const id of this.#running.keys()) this.#settle(id, endedAnswer(end));
  }

  #settle(invocationId: string, answer: WorkerAnswer): void {
    this.#running.get(invocationId)?.(answer);
    this.#running.delete(invocationId);
  }
}

async function startedFunctions(
  child: ChildProcess,
  ended: Promise<WorkerEnd>,
  { appFolder, hostVersion, startTimeoutMs }: WorkerProcessOptions,
): Promise<readonly Registration[]> {
  let timer: NodeJS.Timeout | undefined;
  const answer = new Promise<FromWorker>((resolve, reject) => {
    child.on("message", (message: FromWorker) => {
      if (message.kind === "started" || message.kind === "start-failed") resolve(message);
    });
    const tooLate = `The app in ${appFolder} had not loaded after ${startTimeoutMs} ms: look for an import or an appStart hook that never ends.`;
    timer = setTimeout(() => reject(new FarsideError("unavailable", tooLate)), startTimeoutMs);
    void ended.then((end) =>
      reject(new FarsideError("unavailable", `The worker process ended while it loaded the app: ${endText(end)}.`)),
    );
  });
  sendTo(child, { kind: "start", appFolder, hostVersion });
  const message = await answer.finally(() => clearTimeout(timer));
  if (message.kind === "started") return message.functions;
  const problem = message.kind === "start-failed" ? message : { message: "", stack: "" };
  throw new FarsideError("bad-configuration", `The app in ${appFolder} failed to load: ${problem.message}`, {
    details: { stack: problem.stack },
  });
}

/** The TypeScript source where there is one (Node.js runs it), else the bundle beside the command line's. */
function workerFile(): string {
  const source = fileURLToPath(new URL("./worker.ts", import.meta.url));
  return existsSync(source) ? source : fileURLToPath(new URL("./host-worker.js", import.meta.url));
}

/** What a process needs of this machine; everything else an app gets from its settings, as in Azure. */
function machineEnvironment(): Record<string, string> {
  const wanted =
    /^(?:PATH|HOME|USER|LOGNAME|LANG|LC_.*|TMPDIR|TEMP|TMP|SYSTEMROOT|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR)|(?:HTTPS?|NO|ALL)_PROXY)$/i;
  const kept = Object.entries(process.env).filter(([name, value]) => wanted.test(name) && value !== undefined);
  // Azure's machines run in UTC.
  return { ...(Object.fromEntries(kept) as Record<string, string>), TZ: "UTC" };
}

function relayLines(stream: Readable | null, write: (line: string) => void): void {
  if (stream === null) return;
  createInterface({ input: stream }).on("line", write);
}

function sendTo(child: ChildProcess, message: ToWorker): void {
  // A channel that has closed means a process that has ended, or is about to: `ended` tells.
  if (child.connected) child.send(message, () => undefined);
}

const endedAnswer = (end: WorkerEnd): WorkerAnswer => ({
  kind: "worker-ended",
  message: `The worker process ended while the function ran: ${endText(end)}.`,
});

export const endText = ({ code, signal }: WorkerEnd): string => signal ?? `exit code ${code ?? "unknown"}`;
