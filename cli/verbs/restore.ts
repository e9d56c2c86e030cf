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
      "Restores the disks of a restore point: to files or standard output of this machine, or into a container by its SAS URL, straight from the vault; or by the service, to page blobs in a container, or into the VM's own disks. Nothing that exists is overwritten unless you say so. What was interrupted goes on where it stood when the same command is given again.",
    )
    .option("--point <id>", "a restore point's id, or latest (default: latest)")
    .addOption(new Option("--at <time>", "the newest restore point at or before this time").argParser(instant))
    .option("--disk <name...>", "only these disks; name@point takes a disk from another restore point")
    .option("--accept-mixed-points", "restore disks of different instants together")
    .option("--to-file <dir>", "write <disk>.raw or <disk>.vhd into this folder; - writes one disk to standard output")
    .addOption(new Option("--format <format>", "with --to-file (default: raw)").choices(["raw", "vhd"]))
    .option(
      "--to-container <url>",
      "write page blobs into this container: of an account that the service reaches, or of any one by a URL with a SAS",
    )
    .option(
      "--overwrite",
      "replace what stands there: files at the very end, and unfinished work of other restores; page blobs are put back where the restore fails",
    )
    .option("--allow-damaged", "fill what the vault has lost with zeros and list it; exit code 5")
    .option(
      "--revert",
      "write what differs into the VM's own disks: it must be stopped; safety snapshots are taken first",
    )
    .option("--yes", "with --revert: do not ask")
    .option("--accept-usn-rollback-risk", "restore a domain controller's point that carries the risk of USN rollback")
    .option("--wait", "with --to-container and --revert: wait for the end; exit code 0 only if it succeeded")
    .addHelpText(
      "after",
      example(
        "farside restore web1 --to-file restored",
        'farside restore web1 --at "2026-11-21 08:30" --disk data --to-file restored --format vhd',
        "farside restore web1 --disk os --to-file - | zstd > os.raw.zst",
        "farside restore web1 --to-container https://dr.blob.core.windows.net/restored --wait",
        "farside restore web1 --revert --wait",
      ),
    )
    .action((vm: string, options: RestoreFlags, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/restore.ts")).restore(verb, vm, options)),
    );
}
