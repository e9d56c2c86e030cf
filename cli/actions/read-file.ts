import { FarsideError } from "../../shared/core/errors.ts";
import { readFile } from "../../shared/operations/files/read-file.ts";
import { neededPath } from "../image-path.ts";
import { withImage } from "../open-image.ts";
import type { Verb } from "../verb.ts";

export async function cat(
  verb: Verb,
  text: string,
  range: { readonly offset?: number; readonly length?: number },
): Promise<void> {
  if (verb.output.json) throw new FarsideError("bad-input", "A file's content is no JSON document: leave --json out.");
  await withImage(verb, text, async ({ fs, volume, rest }) => {
    for await (const bytes of readFile(fs, neededPath(rest, volume), range, verb.signal)) await verb.shell.write(bytes);
  });
}
