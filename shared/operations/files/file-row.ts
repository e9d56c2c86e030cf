/** A file as the verbs show it. */
import { fileTimeText } from "../../core/files/file-time.ts";
import { modeText } from "../../core/files/mode-text.ts";
import type { FileKind, FileStat } from "../../ports/file-system.ts";
import { pathText } from "./file-problem.ts";

export interface FileRow {
  readonly path: string;
  readonly name: string;
  readonly kind: FileKind;
  readonly sizeBytes: number;
  /** As `ls -l` writes them: "-rw-r--r--". */
  readonly permissions: string;
  /** Octal: "0644". */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly node: number;
  /** RFC 3339, UTC, nine decimals; left out where the file system has none. */
  readonly modifiedAt?: string;
  readonly changedAt?: string;
  readonly createdAt?: string;
  /** Of a symbolic link. */
  readonly target?: string;
  /** Of a device. */
  readonly device?: { readonly major: number; readonly minor: number };
}

export function fileRow(path: readonly string[], stat: FileStat, target?: string): FileRow {
  const { kind, sizeBytes, uid, gid, links, node } = stat;
  const times = {
    modifiedAt: fileTimeText(stat.modifiedNs),
    changedAt: stat.changedNs === undefined ? undefined : fileTimeText(stat.changedNs),
    createdAt: stat.createdNs === undefined ? undefined : fileTimeText(stat.createdNs),
  };
  return {
    path: pathText(path),
    name: path.at(-1) ?? "/",
    kind,
    sizeBytes,
    permissions: modeText(kind, stat.mode),
    mode: stat.mode.toString(8).padStart(4, "0"),
    uid,
    gid,
    links,
    node,
    ...(times.modifiedAt === undefined ? {} : { modifiedAt: times.modifiedAt }),
    ...(times.changedAt === undefined ? {} : { changedAt: times.changedAt }),
    ...(times.createdAt === undefined ? {} : { createdAt: times.createdAt }),
    ...(target === undefined ? {} : { target }),
    ...(stat.device === undefined ? {} : { device: stat.device }),
  };
}
