/** The grammar of the command line. It loads no SDK: what a verb does is imported when the verb runs. */
import { Command } from "commander";
import { farsideVersion } from "../shared/config/version.ts";
import type { Shell } from "./shell.ts";
import { addBackupVerb } from "./verbs/backup.ts";
import { addCompletionVerb } from "./verbs/completion.ts";
import { addDemoVerb } from "./verbs/demo.ts";
import { addDiskVerbs } from "./verbs/disk.ts";
import { addExportVerb } from "./verbs/export.ts";
import { addFileVerbs } from "./verbs/files.ts";
import { addPointVerbs } from "./verbs/point.ts";
import { addPolicyVerbs } from "./verbs/policy.ts";
import { addRestoreVerb } from "./verbs/restore.ts";
import { addRunVerbs } from "./verbs/run.ts";
import { addStatusVerb } from "./verbs/status.ts";
import { addUpVerb } from "./verbs/up.ts";
import { addVaultVerbs } from "./verbs/vault.ts";
import { addVerifyVerb } from "./verbs/verify.ts";
import { addVmVerbs } from "./verbs/vm.ts";
import { createCli, example, type Outcome } from "./verb.ts";

const adders = [
  addUpVerb,
  addDemoVerb,
  addStatusVerb,
  addVaultVerbs,
  addPolicyVerbs,
  addDiskVerbs,
  addVmVerbs,
  addBackupVerb,
  addRunVerbs,
  addPointVerbs,
  addRestoreVerb,
  addFileVerbs,
  addExportVerb,
  addVerifyVerb,
  addCompletionVerb,
];

export function createProgram(shell: Shell, outcome: Outcome): Command {
  const program = new Command("farside")
    .description("Backup and disaster recovery for Azure VMs: every backup off-site, deduplicated, encrypted.")
    .version(farsideVersion, "--version", "print the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .option("--json", "one JSON document on standard output")
    .option("--quiet", "say only what was asked for")
    .option("--verbose", "with an error, show where it came from")
    .option("--data <dir>", 'the data directory of "farside up" (default: found from here, else ./farside-data)')
    .configureHelp({ showGlobalOptions: true })
    // Before the verbs, which inherit both. Errors are reported in one place, by run-cli.ts.
    .exitOverride()
    .configureOutput({ writeOut: shell.out, writeErr: shell.err, outputError: () => undefined })
    .addHelpText("after", example("farside up", "farside policy set daily --keep-daily 14", "farside status"));
  const cli = createCli(shell, outcome);
  for (const add of adders) add(program, cli);
  return program;
}
