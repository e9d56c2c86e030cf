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
      "Restores the disks of a restore point: to files or standard output of this machine, or into a container by its SAS URL, straight from the vault; or by the service, to page blobs in a container, into the VM's own disks, to managed disks, to a new VM of Azure, or in exchange for the disks of the VM that stands. Nothing that exists is overwritten unless you say so. What was interrupted goes on where it stood when the same command is given again.",
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
    .option("--to-managed-disks <group>", "make managed disks in this resource group, by its resource id")
    .option("--to-vm <name>", "make a new VM of this name from the captured configuration")
    .option("--swap-disks", "exchange the disks of the VM that stands for restored ones; the old ones stay, detached")
    .option("--stop", "with --swap-disks: stop a running VM for it, and start it again")
    .option("--resource-group <id>", "with --to-vm: where the VM is made, by its resource id")
    .option(
      "--location <region>",
      "of the new disks or VM, e.g. westeurope; of a VM it is the captured one where left out",
    )
    .option("--size <size>", "with --to-vm: e.g. Standard_D4s_v5 (default: the captured one)")
    .option("--subnet <id>", "with --to-vm: the subnet, by its resource id (default: the captured one)")
    .option("--nsg <id>", "with --to-vm: the network security group, by its resource id, or none")
    .option("--keep-addresses", "with --to-vm: ask for the private addresses that the VM had")
    .option("--leave-stopped", "with --to-vm: leave it deallocated when it is made")
    .option("--zone <zone>", "of the new disks or VM: 1, 2, 3 or none")
    .option("--sku <sku>", "of the new disks, e.g. Premium_LRS (default: the captured one)")
    .option("--encryption-set <id>", "of the new disks: a disk encryption set, by its resource id")
    .option(
      "--name-prefix <prefix>",
      "new disks are named <prefix>-<disk> (default: the VM's name and the point's time)",
    )
    .option("--accept-usn-rollback-risk", "restore a domain controller's point that carries the risk of USN rollback")
    .option("--wait", "with restores by the service: wait for the end; exit code 0 only if it succeeded")
    .addHelpText(
      "after",
      example(
        "farside restore web1 --to-file restored",
        'farside restore web1 --at "2026-11-21 08:30" --disk data --to-file restored --format vhd',
        "farside restore web1 --disk os --to-file - | zstd > os.raw.zst",
        "farside restore web1 --to-container https://dr.blob.core.windows.net/restored --wait",
        "farside restore web1 --revert --wait",
        "farside restore web1 --to-managed-disks /subscriptions/<id>/resourceGroups/dr --location northeurope --sku Premium_LRS",
        "farside restore web1 --to-vm web1-twin --resource-group /subscriptions/<id>/resourceGroups/dr --location northeurope --subnet <id> --leave-stopped --wait",
        "farside restore web1 --swap-disks --stop --wait",
      ),
    )
    .action((vm: string, options: RestoreFlags, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/restore.ts")).restore(verb, vm, options)),
    );
}
