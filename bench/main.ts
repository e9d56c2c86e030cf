/**
 * `npm run bench [-- NAME …]`: the figures that the project promises, measured in one run on this machine. Ratios where they can be;
 * absolute times of a noisy machine say little. Exit code 1 where a figure misses its target.
 */
import { appStart } from "./figures/app-start.ts";
import { browse } from "./figures/browse.ts";
import { commandMemory } from "./figures/command-memory.ts";
import { copySpeed } from "./figures/copy-speed.ts";
import { managed } from "./figures/managed.ts";
import { memory } from "./figures/memory.ts";
import { revert } from "./figures/revert.ts";
import { nbdCopy } from "./figures/nbd-copy.ts";
import { restoreSpeed } from "./figures/restore-speed.ts";
import { readMemory } from "./figures/read-memory.ts";
import { unchanged } from "./figures/unchanged.ts";
import type { Figure } from "./support/figure.ts";

const benchmarks: Readonly<Record<string, () => Promise<Figure[]>>> = {
  "app-start": appStart,
  browse,
  "command-memory": commandMemory,
  "copy-speed": copySpeed,
  managed,
  memory,
  revert,
  "nbd-copy": nbdCopy,
  "restore-speed": restoreSpeed,
  "read-memory": readMemory,
  unchanged,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in benchmarks));
if (unknown.length > 0) {
  process.stderr.write(
    `There is no benchmark ${unknown.join(", ")}: choose from ${Object.keys(benchmarks).join(", ")}.\n`,
  );
  process.exit(2);
}
let missed = 0;
for (const [name, measure] of Object.entries(benchmarks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for (const figure of await measure()) {
    if (!figure.met) missed++;
    process.stdout.write(
      `${figure.met ? "met   " : "MISSED"}  ${figure.name}: ${figure.value}; target ${figure.target}\n`,
    );
  }
}
process.exitCode = missed > 0 ? 1 : 0;
