import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { tool } from "../tools.ts";

const run = promisify(execFile);

/** What it writes, as text of one byte a letter: names need not be UTF-8. Fails with what it complained about. */
export async function runTool(name: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(tool(name), args, { encoding: "latin1", maxBuffer: 256 * 1024 * 1024 });
  return stdout;
}
