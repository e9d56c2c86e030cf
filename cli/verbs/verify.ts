import type { Command } from "commander";
import { percent } from "../parse.ts";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addVerifyVerb(program: Command, cli: Cli): void {
  program
    .command("verify")
    .argument("[vm]", "a VM's name, or its id in the vault")
    .summary("check what is in the vault")
    .description(
      "Checks the restore points of a VM in the vault: manifests, indexes, and that every chunk is there. Exit code 5 where something is lost.",
    )
    .option("--all", "the whole vault")
    .option("--read-data", "read every chunk and check its content too")
    .option("--sample <percent>", "with --read-data: read only so many of the chunks, chosen by chance", percent)
    .addHelpText("after", example("farside verify web1 --read-data", "farside verify --all --read-data --sample 5"))
    .action((vm: string | undefined, options: { all?: true; readData?: true; sample?: number }, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/verify.ts")).verify(verb, vm, options)),
    );
}
