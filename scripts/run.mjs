// Runs npm scripts one after the other, says how long each took, and stops at the first that fails.
import { spawnSync } from "node:child_process";

for (const name of process.argv.slice(2)) {
  const startedAt = performance.now();
  // --ignore-scripts: the dependencies were checked once, by the `pre` script of the command the user typed.
  const run = spawnSync("npm", ["run", "--silent", "--ignore-scripts", name], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`${run.status === 0 ? "ok" : "FAILED"}  ${name}  ${seconds} s\n`);
  if (run.status !== 0) process.exit(run.status ?? 1);
}
