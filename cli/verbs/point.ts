import type { Command } from "commander";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addPointVerbs(program: Command, cli: Cli): void {
  const point = program
    .command("point")
    .helpCommand(false)
    .summary("restore points, from the vault itself")
    .description("restore points, read from the vault itself");
  point
    .command("list")
    .argument("<vm>", "a VM's name, or its id in the vault")
    .description("Lists the restore points of a VM, newest first.")
    .addHelpText("after", example("farside point list web1"))
    .action((vm: string, _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/point.ts")).listPoints(verb, vm)),
    );
  point
    .command("show")
    .argument("<vm>", "a VM's name, or its id in the vault")
    .argument("<point>", "a restore point's id, or latest")
    .description("Shows one restore point with its disks, or what it captured of the VM's configuration.")
    .option("--configuration", "the captured configuration, as a JSON document")
    .option("--output <file>", "with --configuration: write it into this file, which must not exist")
    .addHelpText(
      "after",
      example("farside point show web1 latest", "farside point show web1 latest --configuration --output web1.json"),
    )
    .action((vm: string, id: string, options: { configuration?: true; output?: string }, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/point.ts")).showPoint(verb, vm, id, options)),
    );
}
