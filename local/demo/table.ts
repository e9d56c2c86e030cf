/** The demo's last word: what each backup moved, as a table. */
import type { DemoRun, DemoRunDisk } from "./api.ts";

const headings = [
  "backup",
  "disk",
  "size",
  "changed",
  "copied",
  "stored",
  "dedup",
  "compression",
  "time",
  "consistency",
  "skew",
];

/** `armRequests`: how many each run sent to ARM, by its id; a column more. */
export function demoTable(runs: readonly DemoRun[], armRequests?: ReadonlyMap<string, number>): string {
  const shown = armRequests === undefined ? headings : [...headings, "requests to ARM"];
  const rows = runs.flatMap((run) =>
    run.disks.map((disk, number) => {
      // Of the run, not of the disk: told once.
      const requests = number === 0 ? armRequests?.get(run.runId) : undefined;
      return [...rowOf(run, disk), ...(armRequests === undefined ? [] : [requests?.toString() ?? ""])];
    }),
  );
  const widths = shown.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(shown), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

function rowOf(run: DemoRun, disk: DemoRunDisk): string[] {
  return [
    `${run.trigger} ${disk.mode}`,
    disk.name,
    mebibytes(disk.sizeBytes),
    mebibytes(disk.changedBytes),
    mebibytes(disk.readBytes),
    mebibytes(disk.storedBytes),
    // How much of what was read the vault had already; how much smaller the rest became.
    disk.newBytes === 0 && disk.readBytes > 0 ? "all" : ratio(disk.readBytes, disk.newBytes),
    ratio(disk.newBytes, disk.storedBytes),
    seconds(run),
    run.consistency ?? "-",
    `${run.skewMs ?? "?"} ms`,
  ];
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function ratio(before: number, after: number): string {
  return after === 0 ? "-" : `${(before / after).toFixed(1)}:1`;
}

function seconds(run: DemoRun): string {
  if (run.startedAt === undefined || run.finishedAt === undefined) return "-";
  return `${((Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000).toFixed(1)} s`;
}
