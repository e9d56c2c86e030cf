/** All that a folder of this machine holds, as find(1) and sha256sum(1) see it: one line for each path, to be compared as text. */
import { runTool } from "./run-tool.ts";

export interface FolderFactsOptions {
  readonly owners?: boolean;
  /** Digits of the seconds' fraction that count. */
  readonly timeDigits?: number;
  readonly modes?: boolean;
}

/** Kind, mode, size, number of names, time, target of links and checksum of files; of directories no size. */
export async function folderFacts(
  folder: string,
  options: FolderFactsOptions = {},
): Promise<ReadonlyMap<string, string>> {
  const { owners = false, timeDigits = 6, modes = true } = options;
  const format = "%P\\0%y\\0%m\\0%s\\0%n\\0%U:%G\\0%T@\\0%l\\0";
  const fields = (await runTool("find", [folder, "-mindepth", "1", "-printf", format])).split("\0");
  const sums = await checksums(folder);
  const facts = new Map<string, string>();
  for (let at = 0; at + 8 <= fields.length; at += 8) {
    const [path = "", kind = "", mode = "", size = "", names = "", owner = "", time = "", target = ""] =
      fields.slice(at);
    const [seconds = "", fraction = ""] = time.split(".");
    const when = `${seconds}.${fraction.slice(0, timeDigits)}`;
    const size1 = kind === "d" ? "" : ` ${size} ${names}`;
    const mode1 = modes ? ` ${mode}` : "";
    facts.set(path, `${kind}${mode1}${size1}${owners ? ` ${owner}` : ""} ${when} ${target}${sums.get(path) ?? ""}`);
  }
  return facts;
}

async function checksums(folder: string): Promise<ReadonlyMap<string, string>> {
  const listed = await runTool("sh", ["-c", 'cd "$1" && find . -type f -exec sha256sum -bz {} +', "sh", folder]);
  const sums = listed.split("\0").filter((line) => line !== "");
  return new Map(sums.map((line) => [line.slice("0".repeat(64).length + " *./".length), line.slice(0, 64)]));
}
