import type { VolumeRow } from "../../shared/operations/files/list-volumes.ts";
import { listVolumes } from "../../shared/operations/files/list-volumes.ts";
import { formatBytes } from "../format.ts";
import { openPoint } from "../open-image.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";
import { parseVmAtPoint } from "../vm-at-point.ts";

export async function volumes(verb: Verb, text: string): Promise<void> {
  const parsed = parseVmAtPoint(text);
  await withVault(verb, async (vault) => {
    const { volumes: found } = await openPoint(verb, vault, parsed);
    const rows: VolumeRow[] = [];
    for await (const row of listVolumes(found, verb.signal)) rows.push(row);
    verb.output.list(
      rows.map(viewOf),
      rows,
      [
        { title: "volume", value: (row) => row.name },
        { title: "kind", value: (row) => row.kind },
        { title: "file system", value: (row) => row.fileSystem ?? "-" },
        { title: "label", value: (row) => row.label ?? "-" },
        { title: "size", value: (row) => formatBytes(row.sizeBytes), align: "right" },
        { title: "state", value: (row) => (row.dirty === undefined ? "-" : row.dirty ? "DIRTY" : "ok") },
        { title: "note", value: (row) => row.note ?? "" },
      ],
      "The restore point has no disk.",
    );
  });
}

/** Every field is there in each row: scripts look at them by name. */
function viewOf({ name, kind, fileSystem, label, sizeBytes, disks, dirty, note }: VolumeRow): object {
  return {
    name,
    kind,
    fileSystem: fileSystem ?? null,
    label: label ?? null,
    sizeBytes,
    disks,
    dirty: dirty ?? null,
    note: note ?? null,
  };
}
