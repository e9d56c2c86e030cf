import type { Command } from "commander";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addDiskVerbs(program: Command, cli: Cli): void {
  const disk = program
    .command("disk")
    .helpCommand(false)
    .summary("bring disk images in")
    .description("disks in storage accounts");
  disk
    .command("import")
    .argument("<file>", "a raw or fixed-VHD image")
    .argument("<name>", "what the disk is called there")
    .description(
      "Makes a page blob (a fixed VHD) of a disk image, in the container `disks` of a configured account. Zeros are not sent.",
    )
    .option(
      "--account <source>",
      "the account, by the name of its setting or its own (default: the only one, or `source`)",
    )
    .addHelpText(
      "after",
      example("farside disk import debian.raw web1-os", "farside disk import data.vhd web1-data --json"),
    )
    .action((file: string, name: string, options: { account?: string }, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/disk.ts")).importDisk(verb, file, name, options)),
    );
}
