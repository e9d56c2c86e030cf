import type { Command } from "commander";
import { byteSize } from "../parse.ts";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addVaultVerbs(program: Command, cli: Cli): void {
  const vault = program
    .command("vault")
    .helpCommand(false)
    .description("the vault itself")
    .summary("make, show and seed the vault, and the tables anew from it");
  vault
    .command("init")
    .description("Makes a vault in the container that FARSIDE_VAULT names, and the container too where it is missing.")
    .option("--chunk-size <bytes>", "256K, 512K, 1M, 2M or 4M", byteSize)
    .option("--unencrypted", "store everything readable to whoever can read the container")
    .addHelpText("after", example("FARSIDE_PASSPHRASE_FILE=~/.farside-passphrase farside vault init"))
    .action((options: { chunkSize?: number; unencrypted?: true }, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/vault.ts")).initVaultAction(verb, options)),
    );
  vault
    .command("show")
    .description("Opens the vault and shows what it says of itself.")
    .addHelpText("after", example("farside vault show"))
    .action((_options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/vault.ts")).showVault(verb)),
    );
  vault
    .command("rebuild")
    .description(
      "Makes the service's tables anew from the vault after they were lost: policies, protected VMs and restore points. Overwrites nothing that stands; may run again at any time.",
    )
    .addHelpText("after", example("farside vault rebuild"))
    .action((_options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/vault-rebuild.ts")).rebuildVault(verb)),
    );
  vault
    .command("seed")
    .argument("<file...>", "raw or fixed-VHD disk images")
    .description(
      "Stores the chunks of disk images at hand, so that the first backup finds them in the vault. Chunks that no backup has come to use are collected after eight days.",
    )
    .addHelpText("after", example("farside vault seed golden-image.vhd"))
    .action((files: string[], _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/seed.ts")).seed(verb, files)),
    );
}
