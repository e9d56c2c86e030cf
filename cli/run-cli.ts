/** Runs one command line and gives its exit code. Every error becomes one line, and with --json a document too. */
import type { CommanderError } from "commander";
import type { ErrorRecord } from "../shared/core/errors.ts";
import { errorCodes, errorRecord } from "../shared/core/errors.ts";
import { printable } from "./format.ts";
import { createProgram } from "./program.ts";
import type { Shell } from "./shell.ts";
import type { Outcome } from "./verb.ts";

export async function runCli(args: readonly string[], shell: Shell): Promise<number> {
  const outcome: Outcome = { exitCode: 0 };
  const program = createProgram(shell, outcome);
  try {
    await program.parseAsync([...args], { from: "user" });
    return outcome.exitCode;
  } catch (error) {
    if (isCommanderError(error)) return usageExit(error, args, shell);
    // Whatever was under way when Ctrl-C came says so in its own words: the interruption is what happened.
    const record = errorRecord(shell.signal.aborted ? shell.signal.reason : error);
    report(record, shell, args.includes("--json") && outcome.output?.hasDocument !== true);
    if (args.includes("--verbose") && error instanceof Error) shell.err(`${stackOf(error)}\n`);
    return errorCodes[record.code].exitCode;
  }
}

function report(record: ErrorRecord, shell: Shell, asDocument: boolean): void {
  shell.err(`farside: ${printable(record.message)}\n`);
  if (!asDocument) return;
  const { code, message, details = {} } = record;
  shell.out(`${JSON.stringify({ error: { code, message, details } }, undefined, 2)}\n`);
}

function usageExit(error: CommanderError, args: readonly string[], shell: Shell): number {
  if (error.exitCode === 0) return 0;
  // Commander has shown the help where a verb was left out; elsewhere it says what is wrong in one line.
  const message = error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ");
  if (error.code !== "commander.help") {
    report(
      { code: "bad-input", message: `${sentence(message)} See "farside --help".` },
      shell,
      args.includes("--json"),
    );
  }
  return 2;
}

function sentence(text: string): string {
  const capital = text.slice(0, 1).toUpperCase() + text.slice(1);
  return /[.!?)]$/.test(capital) ? capital : `${capital}.`;
}

function isCommanderError(error: unknown): error is CommanderError {
  return error instanceof Error && "code" in error && String(error.code).startsWith("commander.");
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : "";
  return `${error.stack ?? error.message}${cause}`;
}
