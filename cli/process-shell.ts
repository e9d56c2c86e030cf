/** The shell of this process: its streams, its environment, and Ctrl-C. */
import { createInterface } from "node:readline/promises";
import { FarsideError } from "../shared/core/errors.ts";
import type { Shell } from "./shell.ts";

export function processShell(): Shell {
  const interrupted = new AbortController();
  const onSignal = (): void => {
    // A second Ctrl-C means it: whoever presses it does not want to wait for the cleaning up.
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort(new FarsideError("interrupted", "Interrupted."));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // `farside run list | head` closes the pipe early: that is no error.
    if (error.code === "EPIPE") process.exit(0);
    process.stderr.write(
      `farside: Standard output cannot be written, what was to go there is not whole: ${error.message}.\n`,
    );
    process.exit(1);
  });
  // Nobody hears it any more: that must not end the work.
  process.stderr.on("error", () => undefined);
  const canAsk = process.stdin.isTTY && process.stderr.isTTY;
  return {
    environment: process.env,
    cwd: process.cwd(),
    out: (text) => void process.stdout.write(text),
    write: (bytes) => writeOut(bytes, interrupted.signal),
    err: (text) => void process.stderr.write(text),
    outIsTerminal: process.stdout.isTTY,
    errIsTerminal: process.stderr.isTTY,
    signal: interrupted.signal,
    ...(canAsk ? { askSecret: askOnTerminal, ask: (question: string) => askLine(question, interrupted.signal) } : {}),
  };
}

async function askLine(question: string, signal: AbortSignal): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const stopped = new AbortController();
  // While it reads, the terminal tells it of Ctrl-C and of its end, and not the process.
  terminal.once("SIGINT", () => stopped.abort());
  terminal.once("close", () => stopped.abort());
  try {
    return await terminal.question(question, { signal: AbortSignal.any([signal, stopped.signal]) });
  } catch {
    // Ctrl-C, or the terminal is gone.
    throw new FarsideError("interrupted", "Interrupted.");
  } finally {
    terminal.close();
  }
}

function writeOut(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    // Who does not read any more must not keep Ctrl-C waiting.
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    process.stdout.write(bytes, (error) => {
      signal.removeEventListener("abort", stop);
      if (error) reject(error);
      else resolve();
    });
  });
}

const enter = new Set(["\r", "\n", "\u0004"]);
const erase = new Set(["\u007f", "\b"]);

/** Reads a line from the terminal without echo. */
function askOnTerminal(question: string): Promise<string> {
  const { stdin, stderr } = process;
  // Before the question: who answers at once, or pastes, must not see it echoed.
  stdin.setRawMode(true);
  stderr.write(question);
  stdin.setEncoding("utf8");
  stdin.resume();
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const end = (): void => {
      stdin.off("data", onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write("\n");
    };
    const onData = (text: string): void => {
      for (const letter of text) {
        if (enter.has(letter)) {
          end();
          resolve(typed.join(""));
          return;
        }
        if (letter === "\u0003") {
          end();
          reject(new FarsideError("interrupted", "Interrupted."));
          return;
        }
        if (erase.has(letter)) typed = typed.slice(0, -1);
        else typed.push(letter);
      }
    };
    stdin.on("data", onData);
  });
}
