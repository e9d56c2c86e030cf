import type { Command } from "commander";
import { Option } from "commander";
import type { PolicyFlags } from "../actions/policy.ts";
import { durationSeconds, wholeNumber } from "../parse.ts";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

const levels = ["application", "filesystem", "crash"];

export function addPolicyVerbs(program: Command, cli: Cli): void {
  const policy = program
    .command("policy")
    .helpCommand(false)
    .summary("when, how and how long to keep")
    .description("policies of backup");
  policy
    .command("set")
    .argument("<name>")
    .description(
      "Makes a policy, or changes what is given of one and leaves the rest. A new one needs at least one --keep-….",
    )
    .option("--file <file>", "the whole policy as JSON, instead of the other options")
    .option("--schedule <cron>", 'five fields, or six with seconds first; "none" takes the schedule away')
    .option("--time-zone <tz>", "the schedule's IANA time zone (default: UTC)")
    .option("--jitter <duration>", "spread the policy's VMs over this long", durationSeconds)
    .option("--keep-last <n>", "restore points kept in any case", wholeNumber)
    .option("--keep-hourly <n>", "the last of each of so many hours", wholeNumber)
    .option("--keep-daily <n>", "the last of each of so many days", wholeNumber)
    .option("--keep-weekly <n>", "the last of each of so many weeks", wholeNumber)
    .option("--keep-monthly <n>", "the last of each of so many months", wholeNumber)
    .option("--keep-yearly <n>", "the last of each of so many years", wholeNumber)
    .addOption(new Option("--consistency <level>", "the consistency wanted").choices(levels))
    .addOption(new Option("--least <level>", "the least consistency accepted").choices(levels))
    .option("--rpo <duration>", 'the oldest the newest restore point may become, e.g. "26h"', durationSeconds)
    .option("--retry-window <duration>", "how long a run may wait for its VM to be safe to back up", durationSeconds)
    .option("--freeze-ttl <duration>", "the guest thaws by itself after this long", durationSeconds)
    .option("--shutdown", "stop a running VM of Azure for its snapshots, and start it again (downtime of minutes)")
    .option("--no-shutdown", "back it up while it runs")
    .option("--pause-replication", "ask that replication of the VM be paused for the backup")
    .option("--no-pause-replication", "leave replication alone")
    .addOption(
      new Option("--usn-rollback <what>", "a domain controller that would suffer USN rollback").choices([
        "warn",
        "fail",
      ]),
    )
    .option("--instant-restore-days <n>", "keep snapshots at the source for so many days (0 to 30)", wholeNumber)
    .addHelpText(
      "after",
      example(
        'farside policy set daily --schedule "0 3 * * *" --time-zone Europe/Berlin --keep-daily 14 --keep-monthly 12',
        "farside policy set daily --rpo 26h",
      ),
    )
    .action((name: string, options: PolicyFlags, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/policy.ts")).setPolicyAction(verb, name, options)),
    );
  policy
    .command("list")
    .description("Lists all policies.")
    .addHelpText("after", example("farside policy list"))
    .action((_options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/policy.ts")).listPolicies(verb)),
    );
  policy
    .command("show")
    .argument("<name>")
    .description("Shows one policy.")
    .addHelpText("after", example("farside policy show daily", "farside policy show daily --json > daily.json"))
    .action((name: string, _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/policy.ts")).showPolicy(verb, name)),
    );
  policy
    .command("remove")
    .argument("<name>")
    .description("Removes a policy that no VM follows.")
    .addHelpText("after", example("farside policy remove daily"))
    .action((name: string, _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/policy.ts")).removePolicyAction(verb, name)),
    );
}
