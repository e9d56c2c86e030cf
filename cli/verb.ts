/** What a verb works with: the shell, the output, and the way to the service and the vault. */
import type { Command } from "commander";
import { Output } from "./output.ts";
import type { Shell } from "./shell.ts";

export interface Verb {
  readonly shell: Shell;
  readonly output: Output;
  readonly signal: AbortSignal;
  /** --data, where given. */
  readonly dataFolder: string | undefined;
  readonly verbose: boolean;
}

/** An action may give an exit code other than 0 for what is no error: a failed run, findings. */
type Act = (verb: Verb) => Promise<number | void>;

export interface Cli {
  /** Runs an action with the options that every verb has. */
  readonly run: (command: Command, act: Act) => Promise<void>;
}

interface GlobalOptions {
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
  readonly data?: string;
}

export interface Outcome {
  exitCode: number;
  /** Of the verb that ran. */
  output?: Output;
}

export function createCli(shell: Shell, outcome: Outcome): Cli {
  return {
    async run(command, act) {
      const options = command.optsWithGlobals<GlobalOptions>();
      const output = new Output(shell, { json: options.json === true, quiet: options.quiet === true });
      outcome.output = output;
      const verb: Verb = {
        shell,
        output,
        signal: shell.signal,
        dataFolder: options.data,
        verbose: options.verbose === true,
      };
      outcome.exitCode = (await act(verb)) ?? 0;
    },
  };
}

/** An example below a verb's help. */
export function example(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? "s" : ""}:\n${lines.map((line) => `  $ ${line}\n`).join("")}`;
}
