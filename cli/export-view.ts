/** What `farside export` says of what it serves. */
import type { ListenAddress } from "../shared/core/nbd/listen-address.ts";
import type { Manifest } from "../shared/core/vault/manifest.ts";
import type { Volume, VolumeContent } from "../shared/images/volumes/volume.ts";
import { formatBytes, formatTime, printable } from "./format.ts";
import type { NbdAccess } from "./nbd-clients.ts";
import { clientTasks, clientUri } from "./nbd-clients.ts";
import type { Output } from "./output.ts";

export function tellExports(
  output: Output,
  manifest: Manifest,
  volumes: readonly Volume[],
  access: NbdAccess & { readonly address: ListenAddress },
): void {
  const exported = volumes.filter(({ device }) => device !== undefined);
  const missing = volumes.filter(({ device }) => device === undefined);
  const disks = exported.filter(({ kind }) => kind === "disk").map(({ name }) => name);
  const mountable = exported.find(({ content }) => isMountable(content));
  const tasks = clientTasks(access, disks, mountable?.name);
  const { vmId, vmName, pointId, snapshotAt, consistency } = manifest;
  const { address, tls } = access;
  const listen = address.kind === "unix" ? `unix:${address.path}` : `${address.host}:${address.port}`;
  if (output.json) {
    const shown = exported.map(({ name, kind, sizeBytes, disks: on, content, note }) => ({
      name,
      kind,
      sizeBytes,
      disks: on,
      holds: holds(content),
      note,
      uri: clientUri(access, name),
    }));
    const point = { vm: vmName, vmId, restorePointId: pointId, snapshotAt, consistency: consistency.achieved };
    const notExported = missing.map(({ name, note }) => ({ name, note }));
    output.thing({ ...point, listen, tls, exports: shown, notExported, commands: tasks }, []);
    return;
  }
  // Names of volumes come from the disks: they must not steer the terminal.
  const say = (text: string): void => output.line(printable(text));
  say(
    `Serving ${vmName} as of ${formatTime(snapshotAt)} (${consistency.achieved}-consistent, restore point ${pointId}), read-only, on ${listen}${tls ? " over TLS" : ""}.`,
  );
  say("");
  output.table(exported, [
    { title: "export", value: ({ name }) => name },
    { title: "kind", value: ({ kind }) => kind },
    { title: "size", value: ({ sizeBytes }) => formatBytes(sizeBytes), align: "right" },
    { title: "holds", value: ({ content }) => holds(content) },
    { title: "uri", value: ({ name }) => clientUri(access, name) },
  ]);
  for (const { name, note } of missing) say(`Not exported: ${name}${note === undefined ? "" : ` (${note})`}`);
  if (tls) say("CERTIFICATES is the client's folder with ca-cert.pem, client-cert.pem and client-key.pem.");
  for (const { title, lines } of tasks) {
    say("");
    say(`${title}:`);
    for (const line of lines) say(`  ${line}`);
  }
  say("");
  say("Ctrl-C ends it.");
}

/** What a person wants to see: not the EFI partition. */
function isMountable(content: VolumeContent): boolean {
  if (content.kind === "foreign") return content.type === "btrfs";
  return content.kind === "file-system" && content.type !== "vfat";
}

function holds(content: VolumeContent): string {
  switch (content.kind) {
    case "file-system":
    case "foreign":
      return content.type;
    case "partition-table":
      return `${content.type} table`;
    case "member":
      return `part of ${content.of}`;
    case "unknown":
      return "-";
    case "empty":
      return "zeros";
    default:
      return content satisfies never;
  }
}
