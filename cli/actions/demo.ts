import { runDemo } from "../../local/demo/demo.ts";
import { runManagedDemo } from "../../local/demo/managed-demo.ts";
import type { Verb } from "../verb.ts";

interface DemoFlags {
  readonly managed?: true;
  readonly keep?: true;
  readonly size?: number;
}

/** The demo tells its story by itself; here is only its place in the command line. */
export async function demo(verb: Verb, flags: DemoFlags): Promise<number> {
  const run = flags.managed === true ? runManagedDemo : runDemo;
  return run({
    keep: flags.keep === true,
    ...(flags.size === undefined ? {} : { sizeMiB: flags.size }),
    print: (line) => verb.output.line(line),
    signal: verb.signal,
  });
}
