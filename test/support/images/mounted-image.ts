/**
 * Image files mounted through a loop device by this machine's kernel: to fill them with real files, to crash them, and as the judge
 * of what a reader shows. Needs `haveTools("root", …)`.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, statfs, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { tool } from "../tools.ts";

const run = promisify(execFile);

/** TMPFS_MAGIC of linux/magic.h. */
const tmpfsMagic = 0x01021994;
/** More than the images of all files of tests that run at once. */
const roomBytes = 3 * 2 ** 30;

/**
 * A folder for images, to be removed by its maker. In memory where there is room: what is tested is a program that calls fsync a
 * thousand times, not the disk below it.
 */
export async function imageFolder(name: string): Promise<string> {
  return mkdtemp(join((await hasRoom("/dev/shm")) ? "/dev/shm" : tmpdir(), `farside-${name}-`));
}

async function hasRoom(folder: string): Promise<boolean> {
  try {
    const { type, bavail, bsize } = await statfs(folder);
    return type === tmpfsMagic && bavail * bsize >= roomBytes;
  } catch {
    // There is no such folder here.
    return false;
  }
}

/** A sparse file of `sizeBytes` with a file system made by `mkfs.<type>`. */
export async function makeImage(
  path: string,
  sizeBytes: number,
  mkfs: string,
  args: readonly string[] = [],
): Promise<void> {
  await writeFile(path, "");
  await truncate(path, sizeBytes);
  await run(tool(mkfs), [...args, path]);
}

/** A copy with the holes of the image. */
export async function copyImage(image: string, copy: string): Promise<void> {
  await run(tool("cp"), ["--sparse=always", image, copy]);
}

/** Mounts it at a folder of its own, works there, unmounts it: its file system is clean afterwards. */
export async function withMounted<T>(
  image: string,
  work: (folder: string) => Promise<T>,
  options: readonly string[] = [],
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "farside-mount-"));
  await run(tool("mount"), ["-o", ["loop", ...options].join(","), image, folder]);
  try {
    return await work(folder);
  } finally {
    await run(tool("umount"), [folder]);
    await rm(folder, { recursive: true });
  }
}

/**
 * As `withMounted`, but the power fails after the work: the file system accepts nothing more (EXT4_IOC_SHUTDOWN and
 * XFS_IOC_GOINGDOWN, one number, without flushing the log), and what the disk holds at that instant becomes the file `crashed`, before
 * the kernel could write back what its log already holds.
 */
export async function withCrash<T>(
  image: string,
  crashed: string,
  work: (folder: string) => Promise<T>,
  options: readonly string[] = [],
): Promise<T> {
  const crash = async (folder: string): Promise<T> => {
    const result = await work(folder);
    const shutDown =
      "import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1],os.O_RDONLY),0x8004587d,struct.pack('I',2))";
    await run(tool("python3"), ["-c", shutDown, folder]);
    await copyImage(image, crashed);
    return result;
  };
  return withMounted(image, crash, options);
}
