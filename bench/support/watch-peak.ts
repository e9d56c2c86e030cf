/** The peak memory of another process, in bytes. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const sampleMs = 50;

/** The kernel's own high-water mark from here on where it keeps one, else the largest sample. */
export function watchPeak(pidOf: () => number | undefined): { stop(): number } {
  let peak = 0;
  const first = pidOf();
  // 5 resets the mark (proc_pid_clear_refs(5)); what stays resident stays counted.
  if (process.platform === "linux" && first !== undefined) writeFileSync(`/proc/${first}/clear_refs`, "5");
  const sample = (): void => {
    const pid = pidOf();
    if (pid !== undefined) peak = Math.max(peak, residentBytes(pid));
  };
  const timer = setInterval(sample, sampleMs);
  return {
    stop() {
      clearInterval(timer);
      sample();
      return peak;
    },
  };
}

function residentBytes(pid: number): number {
  if (process.platform === "linux") {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  }
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) * 1024;
}
