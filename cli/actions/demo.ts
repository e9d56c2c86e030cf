import { runDemo } from "../../local/demo/demo.ts";
import type { Verb } from "../verb.ts";

/** The demo tells its story by itself; here is only its place in the command line. */
export async function demo(verb: Verb, flags: { readonly keep?: true; readonly size?: number }): Promise<number> {
  return runDemo({
    keep: flags.keep === true,
    ...(flags.size === undefined ? {} : { sizeMiB: flags.size }),
    print: (line) => verb.output.line(line),
    signal: verb.signal,
  });
}
