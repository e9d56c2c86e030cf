/** Which `farside up` works on a data folder now. */
import { commandLineOf } from "../azurite/running-process.ts";
import { readStackFile } from "./stack-file.ts";

export interface RunningStack {
  readonly pid: number;
}

/**
 * Undefined where none runs. A process id is reused sooner or later: what counts is that the process with this id is still the
 * one that wrote the file.
 */
export async function runningStack(dataFolder: string): Promise<RunningStack | undefined> {
  const recorded = readStackFile(dataFolder)?.process;
  if (recorded === undefined) return undefined;
  const command = await commandLineOf(recorded.pid);
  return command === recorded.command ? { pid: recorded.pid } : undefined;
}
