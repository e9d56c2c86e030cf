/** A local stack for one test file, and the command line in a shell that stands in its data folder. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startStack, type Stack, type StackOptions } from "../../local/stack/stack.ts";
import { farside, type CliResult } from "./cli/farside.ts";
import type { Shell } from "../../cli/shell.ts";

export interface StackShell {
  readonly stack: Stack;
  /** For images and restored files; removed at the end. */
  readonly folder: string;
  /** What the host and the app logged, warnings and worse. */
  readonly complaints: string[];
  readonly run: (args: readonly string[], shell?: Partial<Shell>) => Promise<CliResult>;
  readonly stop: () => Promise<void>;
}

export async function startStackShell(options: Partial<StackOptions> = {}): Promise<StackShell> {
  const folder = await mkdtemp(join(tmpdir(), "farside-test-"));
  const complaints: string[] = [];
  const stack = await startStack({
    dataFolder: join(folder, "data"),
    log: (level, category, message) => {
      if (level === "warning" || level === "error" || level === "critical") complaints.push(`${category} ${message}`);
    },
    ...options,
  });
  return {
    stack,
    folder,
    complaints,
    run: (args, shell) => farside(args, { cwd: stack.dataFolder, ...shell }),
    stop: async () => {
      await stack.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The document of a verb with --json; fails with what it said where it did not exit with 0. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names the document that it expects
export function parsed<T>({ exitCode, out, err }: CliResult): T {
  if (exitCode !== 0) throw new Error(`Exit code ${exitCode}: ${err}${out}`);
  return JSON.parse(out) as T;
}
