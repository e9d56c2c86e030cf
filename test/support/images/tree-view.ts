/**
 * A whole tree as lines of text, one a path: as the kernel shows a folder, and as a reader shows an image. Equal lines mean equal facts:
 * kind, number, mode, owners, links, times, device, target, extended attributes, size and content.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { decodeFileName } from "../../../shared/images/file-name.ts";
import type { FilePiece, FileSystem, NodeId } from "../../../shared/ports/file-system.ts";
import { tool } from "../tools.ts";

const run = promisify(execFile);

/** By path; the root's is empty. */
export type TreeView = ReadonlyMap<string, string>;

export interface ViewOptions {
  /** What is left out: what the two need not have in common. */
  readonly without?: readonly (keyof Facts)[];
}

/** Kinds, sizes, targets and contents: all that file systems of other worlds than Unix have in common with it. */
export const contentOnly: ViewOptions = {
  without: ["node", "mode", "uid", "gid", "links", "modified", "changed", "created", "device", "attributes"],
};

/** Content as the hash of its blocks of 64 KiB that are not zero, with their offsets: holes of terabytes cost nothing. */
const script = `
import ctypes, hashlib, json, os, stat, struct, sys
root, without = os.fsencode(sys.argv[1]), sys.argv[2].split(",")
libc = ctypes.CDLL(None)
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
def created(path): # AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_BTIME; stx_btime lies at byte 80.
  buffer = ctypes.create_string_buffer(256)
  if libc.statx(-100, path, 0x100, 0x800, buffer) != 0: raise OSError("statx")
  seconds, nanoseconds = struct.unpack_from("<qI", buffer, 80)
  return str(seconds * 10**9 + nanoseconds) if struct.unpack_from("<I", buffer)[0] & 0x800 else None
def show(path, name):
  s = os.lstat(path)
  kind = kinds[stat.S_IFMT(s.st_mode)]
  line = {"kind": kind, "node": s.st_ino, "mode": s.st_mode & 0o7777, "uid": s.st_uid, "gid": s.st_gid, "links": s.st_nlink,
    "modified": str(s.st_mtime_ns), "changed": str(s.st_ctime_ns)}
  if kind in ("file", "link"): line["size"] = s.st_size
  if kind.endswith("device"): line["device"] = [os.major(s.st_rdev), os.minor(s.st_rdev)]
  if kind == "link": line["target"] = os.readlink(path).decode("latin-1")
  if kind == "file": line["content"] = content(path, s.st_size)
  if "created" not in without and created(path) is not None: line["created"] = created(path)
  if "attributes" not in without:
    names = [os.fsencode(n) for n in os.listxattr(path, follow_symlinks=False)]
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
  const args = ["-c", script, folder, (options.without ?? []).join(",")];
  const { stdout } = await run(tool("python3"), args, { maxBuffer: 512 * 1024 * 1024 });
  const view = new Map<string, string>();
  for (const line of stdout.split("\n")) {
    if (line === "") continue;
    const [path, facts]: [string, Facts] = JSON.parse(line);
    const { target, attributes = [] } = facts;
    const shown = {
      ...facts,
      ...(target === undefined ? {} : { target: decoded(target) }),
      attributes: attributes.map(([name, value]) => [decoded(name), value] as const),
    };
    view.set(decoded(path), toLine(shown, options));
  }
  return view;
}

/** Throws for what no reader may do: a name that comes twice, pieces or extents that leave gaps, pieces of more than 1 MiB. */
export async function readerView(
  fileSystem: FileSystem,
  signal: AbortSignal,
  options: ViewOptions = {},
): Promise<TreeView> {
  const view = new Map<string, string>();
  const todo: { path: string; node: NodeId; kind: string | undefined }[] = [
    { path: "", node: fileSystem.root, kind: "directory" },
  ];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const facts = await readFacts(fileSystem, next.node, signal);
    if (next.kind !== undefined && next.kind !== facts.kind) throw new Error(`${next.path} is listed as ${next.kind}.`);
    if (view.has(next.path)) throw new Error(`${next.path} is listed twice.`);
    view.set(next.path, toLine(facts, options));
    if (facts.kind !== "directory") continue;
    for await (const { name, node, kind } of fileSystem.list(next.node, signal)) {
      todo.push({ path: `${next.path}/${name}`, node, kind });
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
  readonly node: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly modified: string;
  readonly changed: string | undefined;
  readonly created?: string | undefined;
  readonly size?: number;
  readonly device?: readonly number[] | undefined;
  readonly target?: string;
  readonly content?: string;
  readonly attributes?: readonly (readonly [string, string])[];
}

const order = [
  "kind",
  "node",
  "mode",
  "uid",
  "gid",
  "links",
  "modified",
  "changed",
  "created",
  "size",
  "device",
  "target",
  "content",
  "attributes",
] as const satisfies readonly (keyof Facts)[];

function toLine(facts: Facts, { without = [] }: ViewOptions): string {
  const attributes = (facts.attributes ?? []).toSorted(([one], [other]) => (one < other ? -1 : 1));
  const sorted = { ...facts, mode: facts.mode.toString(8), attributes };
  return JSON.stringify(
    sorted,
    order.filter((name) => !without.includes(name)),
  );
}

async function readFacts(fileSystem: FileSystem, node: NodeId, signal: AbortSignal): Promise<Facts> {
  const stat = await fileSystem.stat(node, signal);
  const attributes = await fileSystem.attributes(node, signal);
  return {
    kind: stat.kind,
    node,
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    links: stat.links,
    modified: String(stat.modifiedNs),
    changed: stat.changedNs?.toString(),
    created: stat.createdNs?.toString(),
    device: stat.device === undefined ? undefined : [stat.device.major, stat.device.minor],
    attributes: [...attributes].map(([name, value]) => [name, Buffer.from(value).toString("hex")] as const),
    ...(stat.kind === "file" || stat.kind === "link" ? { size: stat.sizeBytes } : {}),
    ...(stat.kind === "link" ? { target: await fileSystem.readLink(node, signal) } : {}),
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
  for await (const piece of fileSystem.read(node, { offset: 0, length: Number.MAX_SAFE_INTEGER }, signal)) {
    refusePiece(piece, end);
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
  await verifyExtents(fileSystem, node, sizeBytes, signal);
  return hash.digest("hex");
}

function refusePiece(piece: FilePiece, end: number): void {
  if (piece.offset !== end || piece.length <= 0) throw new Error(`A piece at ${piece.offset} does not follow ${end}.`);
  if (piece.kind === "zero" || (piece.content.length === piece.length && piece.length <= 1024 * 1024)) return;
  throw new Error(`A piece of ${piece.length} bytes has ${piece.content.length}.`);
}

async function verifyExtents(
  fileSystem: FileSystem,
  node: NodeId,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<void> {
  let end = 0;
  for await (const { offset, length } of fileSystem.extents(node, signal)) {
    if (offset !== end || length <= 0) throw new Error(`An extent at ${offset} does not follow ${end}.`);
    end += length;
  }
  if (end !== sizeBytes) throw new Error(`The extents of a file of ${sizeBytes} bytes end at ${end}.`);
}

/** Bytes that came as letters of one byte each. */
function decoded(letters: string): string {
  return decodeFileName(Buffer.from(letters, "latin1"));
}
