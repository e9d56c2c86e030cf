import type { FileRow } from "../../shared/operations/files/file-row.ts";
import { listFiles } from "../../shared/operations/files/list-files.ts";
import { FileProblems } from "../file-problems.ts";
import { formatBytes, formatTime, printableName } from "../format.ts";
import { withImage } from "../open-image.ts";
import { withRows } from "../row-stream.ts";
import type { Verb } from "../verb.ts";

export async function ls(verb: Verb, text: string, recursive: boolean): Promise<number> {
  return withImage(verb, text, async ({ fs, volume }) => {
    const problems = new FileProblems(verb);
    await withRows(verb, async (rows) => {
      for await (const listed of listFiles(fs, volume.path ?? "/", { recursive }, verb.signal)) {
        if (listed.kind === "problem") problems.add(listed.problem);
        else await rows.add(listed.row, lineOf(listed.row, recursive));
      }
    });
    return problems.exitCode;
  });
}

/** As `ls -l` has it, with room for the usual widths. */
function lineOf(row: FileRow, recursive: boolean): string {
  const { permissions, links, uid, gid, device, target } = row;
  const size = device === undefined ? formatBytes(row.sizeBytes) : `${device.major}, ${device.minor}`;
  const columns = [
    permissions,
    String(links).padStart(3),
    String(uid).padStart(5),
    String(gid).padStart(5),
    size.padStart(10),
    formatTime(row.modifiedAt).padStart(19),
    printableName(recursive ? row.path : row.name),
  ];
  return `${columns.join(" ")}${target === undefined ? "" : ` -> ${printableName(target)}`}`;
}
