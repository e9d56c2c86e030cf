/** How problems of single files are told, and what they make of the exit code. */
import type { FileProblem } from "../shared/operations/files/file-problem.ts";
import { printable, printableName } from "./format.ts";
import type { Verb } from "./verb.ts";

const failedExitCode = 1;
const corruptExitCode = 5;

/** Collects the exit code of a verb that goes on beside single failures. */
export class FileProblems {
  readonly #verb: Verb;
  #exitCode = 0;

  constructor(verb: Verb) {
    this.#verb = verb;
  }

  get exitCode(): number {
    return this.#exitCode;
  }

  /** One line on standard error, with --quiet too: it is why the exit code is not 0. */
  add({ path, code, message }: FileProblem): void {
    this.count(code === "vault-corrupt");
    this.#verb.shell.err(`farside: ${printableName(path)}: ${printable(message)}\n`);
  }

  count(isVaultDamage: boolean): void {
    this.#exitCode = Math.max(this.#exitCode, isVaultDamage ? corruptExitCode : failedExitCode);
  }
}
