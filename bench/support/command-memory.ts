/** Peak memory of `farside` processes, started as a user starts them. Linux alone: the kernel keeps the high-water mark. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../../farside", import.meta.url));
const sampleMs = 20;

export interface RunCommand {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** What comes on standard output goes to it; when it has ended, the command is interrupted. Else it ends by itself. */
  readonly whileItRuns?: (output: AsyncIterable<Buffer>) => Promise<void>;
}

/** In bytes, of the process that the launcher becomes. Throws where the command fails. */
export async function peakOfCommand({ args, environment, whileItRuns }: RunCommand): Promise<number> {
  const child = spawn(launcher, args, {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit") as Promise<[number | null]>;
  let peak = 0;
  const sample = (): void => {
    peak = Math.max(peak, highWater(child.pid));
  };
  const timer = setInterval(sample, sampleMs);
  try {
    if (whileItRuns === undefined) {
      child.stdout.resume();
    } else {
      // The pipe stays open when the reader has seen enough: a command whose output nobody reads any more ends by itself.
      await whileItRuns(child.stdout.iterator({ destroyOnReturn: false }));
      child.stdout.resume();
      sample();
      child.kill("SIGINT");
    }
    const [code] = await ended;
    if (code !== (whileItRuns === undefined ? 0 : 130)) throw new Error(`farside ${args[0]} ended with ${code}.`);
    return peak;
  } finally {
    clearInterval(timer);
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  }
}

/** 0 once it has ended. */
function highWater(pid: number | undefined): number {
  try {
    const [, kib] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(kib ?? 0) * 1024;
  } catch {
    return 0;
  }
}
