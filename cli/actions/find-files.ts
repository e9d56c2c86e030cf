import { findFiles } from "../../shared/operations/files/find-files.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { quote } from "../../shared/core/ids.ts";
import { FileProblems } from "../file-problems.ts";
import { printableName } from "../format.ts";
import { withImage } from "../open-image.ts";
import { withRows } from "../row-stream.ts";
import type { Verb } from "../verb.ts";

export interface FindFlags {
  readonly type?: "f" | "d" | "l";
  /** RFC 3339, UTC. */
  readonly newer?: string;
  readonly larger?: number;
  readonly ignoreCase?: true;
}

const kinds = { f: "file", d: "directory", l: "link" } as const;

export async function find(verb: Verb, text: string, pattern: string, flags: FindFlags): Promise<number> {
  const query = {
    pattern,
    ignoreCase: flags.ignoreCase === true,
    ...(flags.type === undefined ? {} : { kind: kinds[flags.type] }),
    ...(flags.newer === undefined ? {} : { newerThanNs: BigInt(Date.parse(flags.newer)) * 1_000_000n }),
    ...(flags.larger === undefined ? {} : { largerThanBytes: flags.larger }),
  };
  return withImage(verb, text, async ({ fs, volume, rest }) => {
    if (volume.path !== undefined) {
      throw new FarsideError(
        "bad-input",
        `${quote(rest)} names more than a volume: leave the path out and write it into the pattern.`,
      );
    }
    const problems = new FileProblems(verb);
    await withRows(verb, async (rows) => {
      for await (const found of findFiles(fs, query, verb.signal)) {
        if (found.kind === "problem") problems.add(found.problem);
        else await rows.add(found.row, printableName(found.row.path));
      }
    });
    return problems.exitCode;
  });
}
