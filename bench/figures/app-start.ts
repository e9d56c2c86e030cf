/**
 * From the start of a new process to the bundle loaded and all functions registered, as the Functions worker does it. Node's own start
 * is in it; the host's is not.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Figure } from "../support/figure.ts";

const runs = 5;
const limitMs = 1000;

export async function appStart(): Promise<Figure[]> {
  const entry = fileURLToPath(new URL("../support/load-app.cjs", import.meta.url));
  const times = Array.from({ length: runs + 1 }, () => {
    const startedAt = performance.now();
    const child = spawnSync(process.execPath, [entry], { encoding: "utf8" });
    if (child.status !== 0) throw new Error(`The app does not load: ${child.stderr}`);
    const registered = Number(child.stdout);
    if (!(registered > 10)) throw new Error(`Only ${child.stdout} functions registered.`);
    return performance.now() - startedAt;
  }).slice(1);
  const median = times.toSorted((a, b) => a - b)[Math.floor(runs / 2)] ?? 0;
  return [
    {
      name: "app start",
      value: `${median.toFixed(0)} ms (median of ${runs})`,
      target: "< 1000 ms",
      met: median < limitMs,
    },
  ];
}
