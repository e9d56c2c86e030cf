/**
 * An OS disk for the demo: a real ext4 file system filled with real files, made and changed without mounting anything
 * (mkfs.ext4 -d, debugfs). Where those tools are missing, a plain pattern, and `fileSystem` says so.
 */
import { execFile } from "node:child_process";
import { cp, mkdir, open, readdir, stat, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const mib = 1024 * 1024;

export interface OsDisk {
  readonly file: string;
  readonly sizeBytes: number;
  readonly fileSystem: "ext4" | "pattern";
}

/** The tool's path, also where Debian keeps it for root only; undefined where it is not installed. */
export async function findTool(name: string): Promise<string | undefined> {
  const folders = [
    ...(process.env["PATH"] ?? "").split(delimiter),
    "/usr/sbin",
    "/sbin",
    "/opt/homebrew/opt/e2fsprogs/sbin",
  ];
  for (const folder of folders) {
    const path = join(folder, name);
    const found = await stat(path).then(
      (facts) => facts.isFile(),
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}

/** Makes the image `file` of `sizeMib`, filled to about a quarter with files from `filesFrom`. */
export async function makeOsDisk(folder: string, sizeMib: number, filesFrom: string): Promise<OsDisk> {
  const file = join(folder, "os.img");
  const sizeBytes = sizeMib * mib;
  const mkfs = await findTool("mkfs.ext4");
  const handle = await open(file, "w");
  await handle.truncate(sizeBytes);
  await handle.close();
  if (mkfs === undefined || (await findTool("debugfs")) === undefined) {
    await writePattern(file, 0, sizeBytes / 4, 1);
    return { file, sizeBytes, fileSystem: "pattern" };
  }
  const content = join(folder, "os-content");
  await mkdir(join(content, "etc"), { recursive: true });
  await writeFile(join(content, "etc/hostname"), "demo\n");
  await copyFiles(filesFrom, join(content, "usr"), sizeBytes / 4);
  await run(mkfs, ["-q", "-F", "-L", "farside-demo", "-d", content, file]);
  return { file, sizeBytes, fileSystem: "ext4" };
}

/** Changes a few MiB of the image, as a day's work would: new files, a changed file, a removed one. */
export async function changeOsDisk(disk: OsDisk, folder: string): Promise<void> {
  const debugfs = await findTool("debugfs");
  if (disk.fileSystem === "pattern" || debugfs === undefined) {
    await writePattern(disk.file, 8 * mib, 3 * mib, 2);
    return;
  }
  const log = join(folder, "new-log");
  const lines = Array.from(
    { length: 40_000 },
    (_, n) => `line ${n}: the service answered request ${(n * 7919) % 100_003}\n`,
  );
  await writeFile(log, lines.join(""));
  const hostname = join(folder, "new-hostname");
  await writeFile(hostname, "demo-changed\n");
  const script = join(folder, "debugfs-script");
  await writeFile(script, `write ${log} service.log\nrm etc/hostname\ncd etc\nwrite ${hostname} hostname\n`);
  await run(debugfs, ["-w", "-f", script, disk.file]);
}

/** What `e2fsck -fn` says of an image: clean or not. Undefined where the tool is missing. */
export async function checkFileSystem(file: string): Promise<{ clean: boolean; output: string } | undefined> {
  const e2fsck = await findTool("e2fsck");
  if (e2fsck === undefined) return undefined;
  return await run(e2fsck, ["-fn", file]).then(
    ({ stdout }) => ({ clean: true, output: stdout }),
    (error: { stdout?: string; stderr?: string }) => ({
      clean: false,
      output: `${error.stdout ?? ""}${error.stderr ?? ""}`,
    }),
  );
}

/** Copies whole folders of real files until about `budgetBytes` are there. */
async function copyFiles(from: string, to: string, budgetBytes: number): Promise<void> {
  let left = budgetBytes;
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (left <= 0) return;
    if (!entry.isDirectory() || entry.name.startsWith(".")) continue;
    const bytes = await folderBytes(join(from, entry.name));
    if (bytes > left) continue;
    await cp(join(from, entry.name), join(to, entry.name), { recursive: true, verbatimSymlinks: true });
    left -= bytes;
  }
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    // 4 KiB more for each file, as the file system rounds up.
    if (entry.isFile()) bytes += 4096 + (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

async function writePattern(file: string, offset: number, length: number, seed: number): Promise<void> {
  const block = Buffer.alloc(mib);
  const handle = await open(file, "r+");
  for (let done = 0; done < length; done += mib) {
    for (let i = 0; i < mib; i += 4) block.writeUInt32LE(((seed + done / mib) * 2_654_435_761 + i) >>> 0, i);
    await handle.write(block, 0, Math.min(mib, length - done), offset + done);
  }
  await handle.close();
}
