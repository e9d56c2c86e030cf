/**
 * A file system in memory, as true to the port as a reader is, and as hostile as an image can be: names that no reader would let
 * through, directories that hold each other, contents that fail in the middle, lists without an end.
 */
import { FarsideError } from "../../../shared/core/errors.ts";
import type {
  DirectoryEntry,
  FileExtent,
  FileKind,
  FilePiece,
  FileStat,
  FileSystem,
  FileSystemState,
  NodeId,
} from "../../../shared/ports/file-system.ts";

export interface MemoryNode {
  readonly kind: FileKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedNs: bigint;
  readonly sizeBytes: number;
  /** Of a file: what is not a hole. In order. */
  readonly data: readonly { readonly offset: number; readonly content: Uint8Array }[];
  /** Of a directory: read anew at each listing, so that it may be endless or hold itself. */
  readonly entries: () => Iterable<readonly [string, MemoryNode]>;
  readonly target: string;
  readonly attributes: Readonly<Record<string, Uint8Array>>;
  /** Thrown when it is read from `at` on. */
  readonly failure: { readonly at: number; readonly error: Error } | undefined;
  readonly statFailure: Error | undefined;
  readonly extents: readonly FileExtent[] | undefined;
}

type More = Partial<MemoryNode>;

const basic: MemoryNode = {
  kind: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  modifiedNs: 1_700_000_000_123_456_789n,
  sizeBytes: 0,
  data: [],
  entries: () => [],
  target: "",
  attributes: {},
  failure: undefined,
  statFailure: undefined,
  extents: undefined,
};

export function file(content: string | Uint8Array, more: More = {}): MemoryNode {
  const bytes = Buffer.from(content);
  return { ...basic, sizeBytes: bytes.length, data: [{ offset: 0, content: bytes }], ...more };
}

export function directory(
  entries: Readonly<Record<string, MemoryNode>> | (() => Iterable<readonly [string, MemoryNode]>),
  more: More = {},
): MemoryNode {
  const list = typeof entries === "function" ? entries : () => Object.entries(entries);
  return { ...basic, kind: "directory", mode: 0o755, entries: list, ...more };
}

export function link(target: string, more: More = {}): MemoryNode {
  return { ...basic, kind: "link", mode: 0o777, target, sizeBytes: Buffer.byteLength(target), ...more };
}

export function special(kind: FileKind, more: More = {}): MemoryNode {
  return { ...basic, kind, ...more };
}

export interface MemoryFileSystemOptions {
  readonly type?: string;
  readonly ignoresCase?: boolean;
  readonly state?: FileSystemState;
}

/** One node under several names is a hard link; its count of links is what was met while walking at most 10,000 nodes. */
export function memoryFileSystem(root: MemoryNode, options: MemoryFileSystemOptions = {}): FileSystem {
  const ids = new Map<MemoryNode, NodeId>();
  const nodes = new Map<NodeId, MemoryNode>();
  const idOf = (node: MemoryNode): NodeId => {
    const known = ids.get(node);
    if (known !== undefined) return known;
    const id = ids.size + 2;
    ids.set(node, id);
    nodes.set(id, node);
    return id;
  };
  const links = countLinks(root);
  const node = (id: NodeId, kind?: FileKind): MemoryNode => {
    const found = nodes.get(id);
    if (found === undefined) throw new FarsideError("image-corrupt", `There is no node ${id}.`);
    if (kind === undefined || found.kind === kind) return found;
    throw new FarsideError("bad-input", `The node ${id} is no ${kind}.`);
  };
  const fold = (name: string): string => (options.ignoresCase === true ? name.toLowerCase() : name);

  return {
    facts: {
      type: options.type ?? "ext4",
      label: "memory",
      uuid: undefined,
      sizeBytes: 0,
      state: options.state ?? { kind: "clean" },
    },
    root: idOf(root),
    async stat(id, signal): Promise<FileStat> {
      signal.throwIfAborted();
      const found = node(id);
      if (found.statFailure !== undefined) throw found.statFailure;
      const { kind, sizeBytes, mode, uid, gid, modifiedNs } = found;
      const times = { modifiedNs, changedNs: undefined, createdNs: undefined };
      return { node: id, kind, sizeBytes, mode, uid, gid, links: links.get(found) ?? 1, ...times, device: undefined };
    },
    async *list(id, signal): AsyncGenerator<DirectoryEntry> {
      const found = node(id, "directory");
      for (const [name, child] of found.entries()) {
        signal.throwIfAborted();
        yield { name, node: idOf(child), kind: child.kind };
      }
      if (found.failure !== undefined) throw found.failure.error;
    },
    async lookup(id, name) {
      for (const [other, child] of node(id, "directory").entries()) {
        if (fold(other) === fold(name)) return { name: other, node: idOf(child), kind: child.kind };
      }
      return undefined;
    },
    async readLink(id) {
      return node(id, "link").target;
    },
    async *read(id, range, signal): AsyncGenerator<FilePiece> {
      const found = node(id, "file");
      const end = Math.min(found.sizeBytes, range.offset + range.length);
      for (const piece of piecesOf(found, range.offset, end)) {
        signal.throwIfAborted();
        const { failure } = found;
        if (failure !== undefined && piece.offset + piece.length > failure.at) throw failure.error;
        yield piece;
      }
    },
    async *extents(id): AsyncGenerator<FileExtent> {
      const found = node(id, "file");
      if (found.failure !== undefined && found.extents === undefined) throw found.failure.error;
      if (found.extents !== undefined) yield* found.extents;
      else if (found.sizeBytes > 0) yield { kind: "encoded", offset: 0, length: found.sizeBytes };
    },
    async attributes(id) {
      return new Map(Object.entries(node(id).attributes));
    },
  };
}

const stepBytes = 1024;

function* piecesOf(found: MemoryNode, from: number, end: number): Generator<FilePiece> {
  let at = from;
  for (const { offset, content } of found.data) {
    const until = Math.min(end, offset + content.length);
    if (until <= at) continue;
    if (offset > at) {
      yield { kind: "zero", offset: at, length: offset - at };
      at = offset;
    }
    for (; at < until; at += stepBytes) {
      const piece = content.subarray(at - offset, Math.min(until, at + stepBytes) - offset);
      yield { kind: "data", offset: at, length: piece.length, content: piece };
    }
    at = until;
  }
  if (at < end) yield { kind: "zero", offset: at, length: end - at };
}

function countLinks(root: MemoryNode): Map<MemoryNode, number> {
  const counts = new Map<MemoryNode, number>();
  const pending = [root];
  for (let seen = 0; pending.length > 0 && seen < 10_000; seen++) {
    const next = pending.pop();
    if (next === undefined) break;
    let listed = 0;
    for (const [, child] of next.entries()) {
      if (listed++ > 10_000) break;
      const before = counts.get(child) ?? 0;
      counts.set(child, before + 1);
      if (before === 0 && child.kind === "directory") pending.push(child);
    }
  }
  return counts;
}
