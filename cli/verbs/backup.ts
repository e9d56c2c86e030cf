import type { Command } from "commander";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addBackupVerb(program: Command, cli: Cli): void {
  program
    .command("backup")
    .argument("<vm>")
    .summary("back a VM up now")
    .description("Backs a VM up now, whatever its schedule says.")
    .option("--wait", "wait for the end of the run; exit code 0 only if it succeeded")
    .addHelpText("after", example("farside backup web1 --wait"))
    .action((vm: string, options: { wait?: true }, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/backup.ts")).backup(verb, vm, options)),
    );
}
