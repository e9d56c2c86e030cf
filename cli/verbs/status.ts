import type { Command } from "commander";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addStatusVerb(program: Command, cli: Cli): void {
  program
    .command("status")
    .summary("every protected VM: last restore point, age against RPO, what runs now")
    .description("Shows every protected VM: its last restore point, the age against the RPO, and what runs now.")
    .addHelpText("after", example("farside status", "farside status --json"))
    .action((_options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/status.ts")).status(verb)),
    );
}
