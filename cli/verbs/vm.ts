import type { Command } from "commander";
import { Option } from "commander";
import type { DiscoverFlags } from "../actions/discover.ts";
import type { ProtectFlags } from "../actions/vm.ts";
import { namedUrl } from "../parse.ts";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addVmVerbs(program: Command, cli: Cli): void {
  const vm = program.command("vm").helpCommand(false).summary("protect VMs").description("protected VMs");
  vm.command("protect")
    .argument("<vm>", "what the VM is called here")
    .description("Protects a VM, or changes how it is protected. Its restore points stay.")
    .requiredOption("--policy <name>", "the policy it follows")
    .addOption(
      new Option(
        "--disk <name=url...>",
        "a disk and its page blob; the first is the OS disk unless --os-disk says another",
      ).argParser(namedUrl),
    )
    .option("--resource-id <id>", "a VM of Azure with its managed disks, by its resource id")
    .option(
      "--exclude-disk <rule...>",
      "leave out disks: NAME of those given or of the VM (* for any letters), lun:N, tag:KEY[=VALUE]",
    )
    .option("--include-disk <rule...>", "of a VM of Azure, back up only the disks that one of these names")
    .option("--os-disk <name>", "which disk the machine starts from")
    .option("--guest <url>", "the guest's webhook, to freeze it for a consistent backup")
    .addOption(new Option("--power-state <state>", "whether the machine runs").choices(["running", "stopped"]))
    .addOption(new Option("--os-type <type>").choices(["linux", "windows"]))
    .option("--os-version <version>", 'as the platform names it, e.g. "2008 R2" or "22.04"')
    .addOption(new Option("--role <role>").choices(["domain-controller"]))
    .addHelpText(
      "after",
      example(
        "farside vm protect web1 --policy daily --disk os=https://acct.blob.core.windows.net/disks/web1-os.vhd",
        "farside vm protect app1 --policy daily --resource-id /subscriptions/ID/resourceGroups/prod/providers/Microsoft.Compute/virtualMachines/app1",
        "farside vm protect app1 --policy daily --resource-id ID --exclude-disk lun:3 tag:role=scratch",
        "farside vm protect db1 --policy hourly --disk os=URL data=URL --guest http://db1.internal:8080",
      ),
    )
    .action((name: string, options: ProtectFlags, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/vm.ts")).protect(verb, name, options)),
    );
  vm.command("list")
    .description("Lists the protected VMs.")
    .addHelpText("after", example("farside vm list"))
    .action((_options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/vm.ts")).listVmsAction(verb)),
    );
  vm.command("show")
    .argument("<vm>")
    .description("Shows one protected VM.")
    .addHelpText("after", example("farside vm show web1"))
    .action((name: string, _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/vm.ts")).showVm(verb, name)),
    );
  vm.command("discover")
    .description(
      "Looks for VMs of Azure by their tag now: those that have it are protected by the policy that it names, and no longer when it is gone.",
    )
    .option("--dry-run", "tell what would be done, and change nothing")
    .option("--accept-removals", "confirm that many VMs of a scope lose their protection at once")
    .addHelpText("after", example("farside vm discover --dry-run", "farside vm discover"))
    .action((options: DiscoverFlags, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/discover.ts")).discover(verb, options)),
    );
  vm.command("unprotect")
    .argument("<vm>")
    .description("Stops protecting a VM. Its restore points stay.")
    .addHelpText("after", example("farside vm unprotect web1"))
    .action((name: string, _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/vm.ts")).unprotect(verb, name)),
    );
}
