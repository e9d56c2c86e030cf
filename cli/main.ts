/** The entry of the command line; scripts/launch.mjs starts it. */
import { processShell } from "./process-shell.ts";
import { runCli } from "./run-cli.ts";

const exitCode = await runCli(process.argv.slice(2), processShell());
// Not by letting the event loop run dry: a pooled connection would hold the process for its idle time. What is
// written to a pipe is not out yet, so the exit waits for it.
process.stdout.write("", (error) => {
  // Of that the shell tells, and then ends the process itself.
  if (!error) process.exit(exitCode);
});
