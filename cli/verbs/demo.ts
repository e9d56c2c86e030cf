import type { Command } from "commander";
import { wholeNumber } from "../parse.ts";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addDemoVerb(program: Command, cli: Cli): void {
  program
    .command("demo")
    .summary("see all of it at work")
    .description(
      "Starts two regions, protects a VM with real disks, backs it up, changes it, backs it up again, restores both points in the other region and proves them byte for byte.",
    )
    .option("--managed", "with a VM of managed disks, over a local Azure Resource Manager by Azure's own SDK")
    .option("--keep", "leave the data folder behind")
    .option("--size <mib>", "the size of each disk in MiB", wholeNumber)
    .addHelpText("after", example("farside demo", "farside demo --keep --size 512", "farside demo --managed"))
    .action((options: { managed?: true; keep?: true; size?: number }, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/demo.ts")).demo(verb, options)),
    );
}
