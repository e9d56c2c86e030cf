/** What every demo stands on: a folder of its own, the stack, and the end of both, however it ends. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FarsideError } from "../../shared/core/errors.ts";
import type { LogSink } from "../host/log.ts";
import { startStack, type Stack, type StackOptions } from "../stack/stack.ts";
import { Checks } from "./checks.ts";

export interface DemoOptions {
  /** Leave the data behind for a look. */
  readonly keep: boolean;
  /** Size of the OS disk, at least 64; the two data disks have a quarter of it each. */
  readonly sizeMiB?: number;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Stage {
  readonly stack: Stack;
  readonly folder: string;
  readonly sizeMiB: number;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
  /** What the demo claims. */
  readonly checks: Checks;
}

const defaultSizeMiB = 192;
const leastSizeMiB = 64;

/** Gives the exit code: 0 only if everything that the demo claims was true. Throws `bad-input` for a disk too small. */
export async function onStage(
  options: DemoOptions,
  parts: Pick<StackOptions, "arm">,
  play: (stage: Stage) => Promise<void>,
): Promise<number> {
  const { keep, print, signal, sizeMiB = defaultSizeMiB } = options;
  if (sizeMiB < leastSizeMiB || sizeMiB % 4 !== 0) {
    throw new FarsideError(
      "bad-input",
      `The size ${sizeMiB} cannot be used: give a multiple of 4 from ${leastSizeMiB} MiB on.`,
    );
  }
  const folder = await mkdtemp(join(tmpdir(), "farside-demo-"));
  print(`Everything stays in ${folder}${keep ? "" : ", which is removed at the end"}.`);
  let stack: Stack | undefined;
  try {
    stack = await startStack({ dataFolder: join(folder, "data"), log: problemsOnly(print), signal, ...parts });
    print(`Two storage regions${stack.arm === undefined ? "" : ", a local ARM"} and the functions are up.`);
    const checks = new Checks();
    await play({ stack, folder, sizeMiB, print, signal, checks });
    for (const line of checks.lines()) print(line);
    return checks.allTrue() ? 0 : 1;
  } finally {
    await stack?.stop();
    if (!keep) await rm(folder, { recursive: true, force: true });
  }
}

function problemsOnly(print: (line: string) => void): LogSink {
  return (level, category, message) => {
    if (level === "error" || level === "critical") print(`!! ${category}: ${message}`);
  };
}
