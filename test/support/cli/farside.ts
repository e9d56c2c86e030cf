import { runCli } from "../../../cli/run-cli.ts";
import type { Shell } from "../../../cli/shell.ts";

export interface CliResult {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
  /** What was written as bytes; in `out` too, as text. */
  readonly bytes: Buffer;
}

/** One command line in a shell of its own: no environment, no terminal. */
export async function farside(args: readonly string[], shell: Partial<Shell> = {}): Promise<CliResult> {
  let out = "";
  let err = "";
  const written: Buffer[] = [];
  const exitCode = await runCli(args, {
    environment: {},
    cwd: "/nowhere/at/all",
    out: (text) => {
      out += text;
    },
    write: async (bytes) => {
      written.push(Buffer.from(bytes));
    },
    err: (text) => {
      err += text;
    },
    errIsTerminal: false,
    signal: new AbortController().signal,
    ...shell,
  });
  const bytes = Buffer.concat(written);
  return { exitCode, out: out + bytes.toString("utf8"), err, bytes };
}
