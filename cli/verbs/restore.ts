import type { Command } from "commander";
import { Option } from "commander";
import type { RestoreFlags } from "../actions/restore.ts";
import { instant } from "../parse.ts";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addRestoreVerb(program: Command, cli: Cli): void {
  program
    .command("restore")
    .argument("<vm>", "a VM's name, or its id in the vault")
    .summary("restore the disks of a VM")
    .description(
      "Restores the disks of a restore point: to files on this machine, straight from the vault, or by the service: to page blobs in a container, or into the VM's own disks. Nothing that exists is overwritten unless you say so.",
    )
    .option("--point <id>", "a restore point's id, or latest (default: latest)")
    .addOption(new Option("--at <time>", "the newest restore point at or before this time").argParser(instant))
    .option("--disk <name...>", "only these disks; name@point takes a disk from another restore point")
    .option("--accept-mixed-points", "restore disks of different instants together")
    .option("--to-file <dir>", "write <disk>.raw or <disk>.vhd into this folder")
    .addOption(new Option("--format <format>", "with --to-file (default: raw)").choices(["raw", "vhd"]))
    .option("--to-container <url>", "write page blobs into this container of a configured account")
    .option("--overwrite", "with --to-container: replace what stands there; it is put back where the restore fails")
    .option(
      "--revert",
      "write into the VM's own disks what differs; it must be stopped, and is kept in safety snapshots",
    )
    .option("--yes", "with --revert: do not ask")
    .option("--accept-usn-rollback-risk", "restore a domain controller's point that carries the risk of USN rollback")
    .option("--wait", "with --to-container and --revert: wait for the end; exit code 0 only if it succeeded")
    .addHelpText(
      "after",
      example(
        "farside restore web1 --to-file restored",
        'farside restore web1 --at "2026-11-21 08:30" --disk data --to-file restored --format vhd',
        "farside restore web1 --to-container https://dr.blob.core.windows.net/restored --wait",
        "farside restore web1 --revert --wait",
      ),
    )
    .action((vm: string, options: RestoreFlags, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/restore.ts")).restore(verb, vm, options)),
    );
}
