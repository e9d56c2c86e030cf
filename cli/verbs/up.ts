import type { Command } from "commander";
import { port } from "../parse.ts";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

export function addUpVerb(program: Command, cli: Cli): void {
  program
    .command("up")
    .summary("start everything on this machine")
    .description(
      "Starts two storage regions, the functions host and the API on this machine. Ctrl-C stops them all. FARSIDE_DISCOVER and FARSIDE_DISCOVERY_TAG of the environment say where VMs are looked for by their tag.",
    )
    .option("--port <n>", "the port of the API (default: the one it had before, else any free one)", port)
    .option("--arm", "a local Azure Resource Manager too, with two sample VMs; it listens on the port after --port")
    .option("--ephemeral", "in a temporary folder that is removed at the end")
    .addHelpText("after", example("farside up", "farside up --data /srv/farside --port 7071", "farside up --arm"))
    .action((options: { port?: number; arm?: true; ephemeral?: true }, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/up.ts")).up(verb, options)),
    );
}
