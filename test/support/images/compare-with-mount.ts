/** Every node that a reader shows, compared with what the kernel shows of the same file system through a mount. */
import { execFile } from "node:child_process";
import type { BigIntStats } from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { promisify } from "node:util";
import type { FileStat, FileSystem, NodeId } from "../../../shared/ports/file-system.ts";
import { decodeFileName } from "../../../shared/images/file-name.ts";
import { tool } from "../tools.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const slash = Buffer.from("/");

export interface Comparison {
  readonly nodes: number;
  readonly files: number;
  readonly contentBytes: number;
  /** One line for each thing that differs; empty where all is equal. */
  readonly differences: readonly string[];
}

/** `ignored`: names directly below the root that are not compared. */
export async function compareWithMount(
  fileSystem: FileSystem,
  folder: string,
  ignored: readonly string[] = [],
): Promise<Comparison> {
  const differences: string[] = [];
  const attributes = await kernelAttributes(folder);
  let [nodes, files, contentBytes] = [0, 0, 0];
  const waiting: { node: NodeId; path: Buffer; shown: string }[] = [
    { node: fileSystem.root, path: Buffer.from(folder), shown: "" },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, path, shown } = next;
    nodes += 1;
    const report = (what: string): number => differences.push(`${shown === "" ? "/" : shown}: ${what}`);
    try {
      const [ours, theirs] = [await fileSystem.stat(node, signal), await lstat(path, { bigint: true })];
      compareStat(ours, theirs, report);
      if (ours.kind === "link") {
        const target = decodeFileName(await readlink(path, { encoding: "buffer" }));
        if ((await fileSystem.readLink(node, signal)) !== target) report("its target differs");
      }
      if (ours.kind === "file") {
        files += 1;
        contentBytes += await compareContent(fileSystem, node, path, Number(theirs.size), report);
        await compareExtents(fileSystem, node, ours.sizeBytes, report);
      }
      compareAttributes(await fileSystem.attributes(node, signal), attributes.get(shown) ?? new Map(), report);
      if (ours.kind !== "directory") continue;
      const names = new Map((await readdir(path, { encoding: "buffer" })).map((name) => [decodeFileName(name), name]));
      for await (const entry of fileSystem.list(node, signal)) {
        const name = names.get(entry.name);
        if (name === undefined) report(`${entry.name} is not in the mount`);
        names.delete(entry.name);
        if (name === undefined || (shown === "" && ignored.includes(entry.name))) continue;
        waiting.push({
          node: entry.node,
          path: Buffer.concat([path, slash, name]),
          shown: `${shown}/${entry.name}`,
        });
        if (entry.kind === undefined) continue;
        const { kind } = await fileSystem.stat(entry.node, signal);
        if (kind !== entry.kind) report(`${entry.name} is listed as ${entry.kind} and is a ${kind}`);
      }
      for (const name of names.keys()) report(`${name} is missing`);
    } catch (error) {
      report(String(error));
    }
  }
  return { nodes, files, contentBytes, differences };
}

function compareStat(ours: FileStat, theirs: BigIntStats, report: (what: string) => void): void {
  const compare = (what: string, one: unknown, other: unknown): void => {
    if (one !== other) report(`${what} is ${String(one)}, in the mount ${String(other)}`);
  };
  compare("kind", ours.kind, kindOf(theirs));
  compare("node", BigInt(ours.node), theirs.ino);
  const sized = ours.kind === "file" || ours.kind === "link";
  compare("size", BigInt(ours.sizeBytes), sized ? theirs.size : 0n);
  compare("mode", ours.mode, Number(theirs.mode) & 0o7777);
  compare("uid", BigInt(ours.uid), theirs.uid);
  compare("gid", BigInt(ours.gid), theirs.gid);
  compare("links", BigInt(ours.links), theirs.nlink);
  compare("time of change of content", ours.modifiedNs, theirs.mtimeNs);
  compare("time of change", ours.changedNs, theirs.ctimeNs);
  // Where it is not stored, Node says the time of change in its place.
  if (ours.createdNs !== undefined) compare("time of creation", ours.createdNs, theirs.birthtimeNs);
  if (ours.device !== undefined) {
    // gnu_dev_major and gnu_dev_minor of glibc.
    const number = Number(theirs.rdev);
    compare("major", ours.device.major, (number >>> 8) & 0xfff);
    compare("minor", ours.device.minor, (number & 0xff) | ((number >>> 12) & 0xfff00));
  }
}

function kindOf(stat: BigIntStats): string {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isCharacterDevice()) return "character-device";
  if (stat.isBlockDevice()) return "block-device";
  return stat.isFIFO() ? "fifo" : "socket";
}

async function compareContent(
  fileSystem: FileSystem,
  node: NodeId,
  path: Buffer,
  sizeBytes: number,
  report: (what: string) => void,
): Promise<number> {
  const file = await open(path, "r");
  const theirs = Buffer.alloc(1024 * 1024);
  const zeros = Buffer.alloc(1024 * 1024);
  let at = 0;
  try {
    for await (const piece of fileSystem.read(node, { offset: 0, length: Number.MAX_SAFE_INTEGER }, signal)) {
      if (piece.offset !== at || piece.length <= 0) report(`a piece of ${piece.length} at ${piece.offset}, not ${at}`);
      for (let done = 0; done < piece.length;) {
        const length = Math.min(theirs.length, piece.length - done);
        await file.read(theirs, 0, length, piece.offset + done);
        const ours = piece.kind === "data" ? piece.content.subarray(done, done + length) : zeros.subarray(0, length);
        if (!theirs.subarray(0, length).equals(ours)) {
          report(`its content differs in the ${length} bytes from ${piece.offset + done}`);
          return sizeBytes;
        }
        done += length;
      }
      at += piece.length;
    }
  } finally {
    await file.close();
  }
  if (at !== sizeBytes) report(`its content ends at ${at} of ${sizeBytes}`);
  return sizeBytes;
}

async function compareExtents(
  fileSystem: FileSystem,
  node: NodeId,
  sizeBytes: number,
  report: (what: string) => void,
): Promise<void> {
  let at = 0;
  for await (const extent of fileSystem.extents(node, signal)) {
    if (extent.offset !== at || extent.length <= 0)
      report(`an extent of ${extent.length} at ${extent.offset}, not ${at}`);
    at += extent.length;
  }
  if (at !== sizeBytes) report(`its extents end at ${at} of ${sizeBytes}`);
}

function compareAttributes(
  ours: ReadonlyMap<string, Uint8Array>,
  theirs: ReadonlyMap<string, string>,
  report: (what: string) => void,
): void {
  const shown = new Map([...ours].map(([name, value]) => [name, Buffer.from(value).toString("hex")]));
  for (const name of new Set([...shown.keys(), ...theirs.keys()])) {
    if (shown.get(name) !== theirs.get(name)) {
      report(`the attribute ${name} is ${shown.get(name)}, in the mount ${theirs.get(name)}`);
    }
  }
}

/** By path below the folder; values in hexadecimal digits. */
async function kernelAttributes(folder: string): Promise<Map<string, Map<string, string>>> {
  const args = ["-R", "-h", "-P", "-d", "-m", "-", "-e", "hex", "--absolute-names", folder];
  const { stdout } = await run(tool("getfattr"), args, { maxBuffer: 2 ** 28, encoding: "buffer" });
  const found = new Map<string, Map<string, string>>();
  for (const section of stdout.toString("latin1").split("\n\n")) {
    const [first = "", ...lines] = section.split("\n");
    const path = decodeFileName(unescapeOctal(first.replace(/^# file: /, ""))).slice(folder.length);
    const pairs = lines
      .filter((line) => line !== "")
      .map((line): [string, string] => {
        const at = line.indexOf("=");
        return at === -1 ? [line, ""] : [line.slice(0, at), line.slice(at + 3)];
      });
    if (pairs.length > 0) found.set(path, new Map(pairs));
  }
  return found;
}

/** getfattr prints bytes that are not printable as `\ooo`. */
function unescapeOctal(text: string): Buffer {
  return Buffer.from(
    text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
    "latin1",
  );
}
