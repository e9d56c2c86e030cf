/** Ready-made lines for the clients of an export: to look at it, to copy it, to mount it, to boot it. */
import type { ListenAddress } from "../shared/core/nbd/listen-address.ts";
import { nbdUri } from "../shared/core/nbd/nbd-uri.ts";

export interface ClientTask {
  /** What the lines do. */
  readonly title: string;
  readonly lines: readonly string[];
}

export interface NbdAccess {
  /** Where clients find the server. */
  readonly reachedAt: ListenAddress;
  readonly tls: boolean;
}

/** Stands where the client's own folder of certificates belongs. */
const certificates = "CERTIFICATES";

/** `disks`: all that are exported, the machine's first one first. `volume`: one that can be mounted, where there is one. */
export function clientTasks(
  access: NbdAccess,
  disks: readonly string[],
  volume: string | undefined,
): readonly ClientTask[] {
  const [disk] = disks;
  if (disk === undefined) return [];
  const uri = (name: string): string => shellWord(clientUri(access, name));
  const tasks: ClientTask[] = [
    { title: "See what there is", lines: [`nbdinfo --list ${uri("")}`, `nbdinfo --map --totals ${uri(disk)}`] },
    { title: "Copy a disk, holes stay holes", lines: [`nbdcopy ${uri(disk)} ${shellWord(`${disk}.raw`)}`] },
    { title: "Convert a disk", lines: convertLines(access, disk) },
  ];
  if (volume !== undefined) {
    tasks.push({
      title: "Mount a volume; what is written goes to a temporary overlay",
      lines: mountLines(clientUri(access, volume)),
    });
  }
  // They take no certificates in a URI.
  if (!access.tls) {
    tasks.push(
      { title: "Browse all disks, with every file system that Linux knows", lines: [guestfishLine(access, disks)] },
      { title: "Boot the machine; what it writes is thrown away", lines: [qemuLine(access, disks)] },
    );
  }
  return tasks;
}

/** For libnbd and what is built on it. */
export function clientUri({ reachedAt, tls }: NbdAccess, name: string): string {
  const uri = nbdUri(reachedAt, tls, name);
  return tls ? `${uri}${uri.includes("?") ? "&" : "?"}tls-certificates=${certificates}` : uri;
}

function convertLines({ reachedAt: address, tls }: NbdAccess, disk: string): readonly string[] {
  const target = shellWord(`${disk}.qcow2`);
  if (!tls) return [`qemu-img convert -p -f raw -O qcow2 ${shellWord(nbdUri(address, tls, disk))} ${target}`];
  const at =
    address.kind === "unix"
      ? `server.type=unix,server.path=${address.path.replaceAll(",", ",,")}`
      : `server.type=inet,server.host=${address.host},server.port=${address.port}`;
  const options = `driver=nbd,export=${disk},tls-creds=tls0,${at}`;
  const credentials = `tls-creds-x509,id=tls0,endpoint=client,dir=${certificates}`;
  return [`qemu-img convert -p --object ${credentials} --image-opts ${shellWord(options)} -O qcow2 ${target}`];
}

function mountLines(uri: string): readonly string[] {
  return [
    "mkdir -p nbd mnt",
    `nbdfuse nbd/image [ nbdkit --exit-with-parent --filter=cow nbd ${shellWord(`uri=${uri}`)} ] &`,
    "sudo mount -o loop nbd/image mnt",
    "sudo umount mnt; fusermount3 -u nbd",
  ];
}

/** It has a form of its own: `nbd://`, with the socket as a parameter, also where it is a unix socket. */
function guestfishLine({ reachedAt }: NbdAccess, disks: readonly string[]): string {
  const adds = disks.map((disk) => {
    const uri = nbdUri(reachedAt, false, disk).replace("nbd+unix://", "nbd://");
    return `--format=raw -a ${shellWord(uri)}`;
  });
  return `guestfish --ro ${adds.join(" ")} -i`;
}

function qemuLine({ reachedAt }: NbdAccess, disks: readonly string[]): string {
  const drives = disks.map((disk) => shellWord(`file=${nbdUri(reachedAt, false, disk)},format=raw,if=virtio`));
  return `qemu-system-x86_64 -m 2048 -snapshot ${drives.map((drive) => `-drive ${drive}`).join(" ")}`;
}

/** As it stands where no shell takes it for anything else, else in quotes. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./~-]+$/.test(text) && !text.startsWith("~") ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
