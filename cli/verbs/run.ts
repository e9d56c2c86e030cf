import type { Command } from "commander";
import { Option } from "commander";
import { runStates } from "../../shared/core/run.ts";
import { wholeNumber } from "../parse.ts";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addRunVerbs(program: Command, cli: Cli): void {
  const run = program
    .command("run")
    .helpCommand(false)
    .summary("backups and restores, under way and past")
    .description("runs");
  run
    .command("list")
    .description("Lists runs, newest first.")
    .option("--vm <vm>", "only of this VM")
    .addOption(new Option("--state <state>", "only in this state").choices(runStates))
    .option("--limit <n>", "at most so many", wholeNumber, 50)
    .addHelpText("after", example("farside run list --vm web1", "farside run list --state failed --json"))
    .action((options: { vm?: string; state?: string; limit: number }, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/run.ts")).listRunsAction(verb, options)),
    );
  run
    .command("show")
    .argument("<run>")
    .description("Shows one run with its disks and its events.")
    .addHelpText("after", example("farside run show 01KAX5M2Y3ZJ8T9V6W7Q4R1B0C"))
    .action((id: string, _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/run.ts")).showRun(verb, id)),
    );
  run
    .command("cancel")
    .argument("<run>")
    .description("Asks a run to stop; its next step does it.")
    .addHelpText("after", example("farside run cancel 01KAX5M2Y3ZJ8T9V6W7Q4R1B0C"))
    .action((id: string, _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/run.ts")).cancel(verb, id)),
    );
  run
    .command("watch")
    .argument("<run>")
    .description("Follows a run to its end; exit code 0 only if it succeeded.")
    .addHelpText("after", example("farside run watch 01KAX5M2Y3ZJ8T9V6W7Q4R1B0C"))
    .action((id: string, _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/run.ts")).watch(verb, id)),
    );
}
