/**
 * A whole tree as lines of text, one a file: as the kernel shows a mounted folder, and as a reader shows an image. Equal lines mean equal
 * kind, mode, owners, links, times, device, target, extended attributes, size and content.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { encodeFileName } from "../../../shared/images/file-name.ts";
import type { FileKind, FileSystem, NodeId } from "../../../shared/ports/file-system.ts";
import { tool } from "../tools.ts";

const run = promisify(execFile);

/** By path; names as letters of one byte each. */
export type TreeView = ReadonlyMap<string, string>;

export interface ViewOptions {
  /** Time of the last change of the inode; false where the kernel's own work changes it. */
  readonly changeTimes?: boolean;
  readonly attributes?: boolean;
}

/** Content as the hash of its blocks of 64 KiB that are not zero, with their offsets: holes of terabytes cost nothing. */
const script = `
import hashlib, json, os, stat, sys
root = os.fsencode(sys.argv[1])
kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFCHR: "character-device",
  stat.S_IFBLK: "block-device", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}
def content(path, size):
  h, block = hashlib.sha256(), 65536
  fd = os.open(path, os.O_RDONLY)
  at = 0
  while at < size:
    try: at = os.lseek(fd, at, os.SEEK_DATA) // block * block
    except OSError: break
    data = os.pread(fd, block, at)
    if data.count(0) != len(data): h.update(at.to_bytes(8, "little") + data)
    at += block
  os.close(fd)
  return h.hexdigest()
def show(path, name):
  s = os.lstat(path)
  kind = kinds[stat.S_IFMT(s.st_mode)]
  line = {"kind": kind, "mode": s.st_mode & 0o7777, "uid": s.st_uid, "gid": s.st_gid, "links": s.st_nlink,
    "modified": str(s.st_mtime_ns), "changed": str(s.st_ctime_ns)}
  if kind in ("file", "link"): line["size"] = s.st_size
  if kind.endswith("device"): line["device"] = [os.major(s.st_rdev), os.minor(s.st_rdev)]
  if kind == "link": line["target"] = os.readlink(path).decode("latin-1")
  if kind == "file": line["content"] = content(path, s.st_size)
  names = sorted(os.fsencode(n) for n in os.listxattr(path, follow_symlinks=False))
  line["attributes"] = [[n.decode("latin-1"), os.getxattr(path, n, follow_symlinks=False).hex()] for n in names
    if not n.startswith(b"trusted.SGI_ACL_")]
  print(json.dumps([name.decode("latin-1"), line]))
def walk(path, name):
  show(path, name)
  if stat.S_ISDIR(os.lstat(path).st_mode):
    for entry in os.listdir(path): walk(path + b"/" + entry, name + b"/" + entry)
sys.setrecursionlimit(10000)
walk(root, b"")
`;

export async function kernelView(folder: string, options: ViewOptions = {}): Promise<TreeView> {
  const { stdout } = await run(tool("python3"), ["-c", script, folder], { maxBuffer: 512 * 1024 * 1024 });
  const view = new Map<string, string>();
  for (const line of stdout.split("\n")) {
    if (line === "") continue;
    const [path, facts]: [string, Facts] = JSON.parse(line);
    view.set(path, toLine(facts, options));
  }
  return view;
}

export async function readerView(
  fileSystem: FileSystem,
  signal: AbortSignal,
  options: ViewOptions = {},
): Promise<TreeView> {
  const view = new Map<string, string>();
  const todo: { path: string; node: NodeId; kind: FileKind | undefined }[] = [
    { path: "", node: fileSystem.root, kind: "directory" },
  ];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const facts = await readFacts(fileSystem, next.node, signal);
    if (next.kind !== undefined && next.kind !== facts.kind) throw new Error(`${next.path} is listed as ${next.kind}.`);
    if (view.has(next.path)) throw new Error(`${next.path} is listed twice.`);
    view.set(next.path, toLine(facts, options));
    if (facts.kind !== "directory") continue;
    for await (const { name, node, kind } of fileSystem.list(next.node, signal)) {
      todo.push({ path: `${next.path}/${oneByteLetters(name)}`, node, kind });
    }
  }
  return view;
}

/** What differs, for a message; at most 20 paths. */
export function differences(kernel: TreeView, reader: TreeView): string[] {
  const paths = [...new Set([...kernel.keys(), ...reader.keys()])].filter(
    (path) => kernel.get(path) !== reader.get(path),
  );
  return paths.slice(0, 20).map((path) => `${path}\n  kernel ${kernel.get(path)}\n  reader ${reader.get(path)}`);
}

interface Facts {
  readonly kind: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly modified: string;
  readonly changed: string | undefined;
  readonly size?: number;
  readonly device?: readonly number[] | undefined;
  readonly target?: string;
  readonly content?: string;
  readonly attributes: readonly (readonly [string, string])[];
}

function toLine(facts: Facts, { changeTimes = true, attributes = true }: ViewOptions): string {
  const { kind, mode, uid, gid, links, modified, changed, size, device, target, content } = facts;
  return JSON.stringify({
    kind,
    mode: mode.toString(8),
    uid,
    gid,
    links,
    modified,
    changed: changeTimes ? changed : undefined,
    size,
    device,
    target,
    content,
    attributes: attributes ? facts.attributes : undefined,
  });
}

async function readFacts(fileSystem: FileSystem, node: NodeId, signal: AbortSignal): Promise<Facts> {
  const stat = await fileSystem.stat(node, signal);
  const attributes = [...(await fileSystem.attributes(node, signal))].map(
    ([name, value]) => [oneByteLetters(name), Buffer.from(value).toString("hex")] as const,
  );
  return {
    kind: stat.kind,
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    links: stat.links,
    modified: String(stat.modifiedNs),
    changed: stat.changedNs === undefined ? undefined : String(stat.changedNs),
    device: stat.device === undefined ? undefined : [stat.device.major, stat.device.minor],
    attributes: attributes.toSorted(([one], [other]) => (one < other ? -1 : 1)),
    ...(stat.kind === "file" || stat.kind === "link" ? { size: stat.sizeBytes } : {}),
    ...(stat.kind === "link" ? { target: oneByteLetters(await fileSystem.readLink(node, signal)) } : {}),
    ...(stat.kind === "file" ? { content: await contentHash(fileSystem, node, stat.sizeBytes, signal) } : {}),
  };
}

const hashBlockBytes = 64 * 1024;

async function contentHash(
  fileSystem: FileSystem,
  node: NodeId,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash("sha256");
  let block = Buffer.alloc(0);
  let blockOffset = 0;
  const flush = (): void => {
    const offset = Buffer.alloc(8);
    offset.writeBigUInt64LE(BigInt(blockOffset));
    if (block.some((byte) => byte !== 0)) hash.update(offset).update(block);
  };
  let end = 0;
  for await (const piece of fileSystem.read(node, { offset: 0, length: sizeBytes }, signal)) {
    if (piece.offset !== end || piece.length <= 0)
      throw new Error(`A piece at ${piece.offset} does not follow ${end}.`);
    for (let at = piece.offset; at < piece.offset + piece.length;) {
      const start = at - (at % hashBlockBytes);
      const until = Math.min(piece.offset + piece.length, start + hashBlockBytes);
      if (start !== blockOffset || block.length === 0) {
        flush();
        blockOffset = start;
        block = Buffer.alloc(Math.min(hashBlockBytes, sizeBytes - start));
      }
      if (piece.kind === "data") block.set(piece.content.subarray(at - piece.offset, until - piece.offset), at - start);
      // A hole of terabytes is passed at once.
      const holeEnd = piece.offset + piece.length;
      at = piece.kind === "zero" && until < holeEnd ? Math.max(until, holeEnd - (holeEnd % hashBlockBytes)) : until;
    }
    end = piece.offset + piece.length;
  }
  if (end !== sizeBytes) throw new Error(`A file of ${sizeBytes} bytes ends at ${end}.`);
  flush();
  return hash.digest("hex");
}

function oneByteLetters(name: string): string {
  return Buffer.from(encodeFileName(name)).toString("latin1");
}
