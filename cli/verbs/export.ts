import type { Command } from "commander";
import type { ExportFlags } from "../actions/export.ts";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addExportVerb(program: Command, cli: Cli): void {
  program
    .command("export")
    .argument("<vm[@point]>", "a VM's name, or its id in the vault, with a restore point's id; without: the latest")
    .summary("serve the disks of a restore point over NBD, read-only")
    .description(
      "Serves the disks of a restore point, and each volume on them, as read-only network block devices (NBD), straight from the vault: to mount, copy, convert or boot them without a restore. Ctrl-C ends it.",
    )
    .option("--disk <name...>", "only these disks, and the volumes that lie on them alone")
    .option(
      "--listen <address>",
      "unix:PATH or HOST:PORT; from other machines only with TLS (default: a unix socket in a temporary folder)",
    )
    .option("--tls-dir <dir>", "a folder with server-cert.pem, server-key.pem and ca-cert.pem, as qemu has it")
    .option("--tls-cert <file>", "the server's certificate (PEM)")
    .option("--tls-key <file>", "its private key (PEM)")
    .option("--tls-ca <file>", "the authority that signed the certificates of the clients (PEM)")
    .addHelpText(
      "after",
      example(
        "farside export web1",
        "farside export web1@01J9ZK3V5T7Q8R2M4N6P0ABCDE --disk os --listen unix:/run/web1.sock",
        "farside export web1 --listen 0.0.0.0:10809 --tls-dir /etc/pki/farside",
      ),
    )
    .action((target: string, options: ExportFlags, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/export.ts")).exportDisks(verb, target, options)),
    );
}
