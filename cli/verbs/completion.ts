import { Argument, type Command } from "commander";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addCompletionVerb(program: Command, cli: Cli): void {
  program
    .command("completion")
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .summary("completion for a shell")
    .description("Prints a script that completes verbs and options in a shell.")
    .addHelpText("after", example("farside completion bash > ~/.local/share/bash-completion/completions/farside"))
    .action((shell: string, _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../completion.ts")).completion(verb, program, shell)),
    );
}
