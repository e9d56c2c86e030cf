import { runCli } from "../../../cli/run-cli.ts";
import type { Shell } from "../../../cli/shell.ts";

export interface CliResult {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** One command line in a shell of its own: no environment, no terminal. */
export async function farside(args: readonly string[], shell: Partial<Shell> = {}): Promise<CliResult> {
  let out = "";
  let err = "";
  // A letter may begin in one write and end in the next.
  const decoder = new TextDecoder();
  const exitCode = await runCli(args, {
    environment: {},
    cwd: "/nowhere/at/all",
    out: (text) => {
      out += text;
    },
    write: async (bytes) => {
      out += decoder.decode(bytes, { stream: true });
    },
    err: (text) => {
      err += text;
    },
    outIsTerminal: false,
    errIsTerminal: false,
    signal: new AbortController().signal,
    ...shell,
  });
  return { exitCode, out, err };
}
