/** A disk image with a GPT and one partition of ext4. Needs `haveTools("sfdisk", "mkfs.ext4", "root")`. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { makeImage, withMounted } from "../images/mounted-image.ts";
import { tool } from "../tools.ts";

const mib = 1024 * 1024;

export const diskBytes = 80 * mib;
export const partitionStart = mib;
export const partitionBytes = 64 * mib;

/** `fill` is given the folder at which the partition's file system is mounted. */
export async function makePartitionedDisk(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const partition = `${path}.p1`;
  await makeImage(partition, partitionBytes, "mkfs.ext4", ["-q"]);
  await withMounted(partition, fill);
  await writeFile(path, "");
  await truncate(path, diskBytes);
  const table = spawn(tool("sfdisk"), ["-q", path], { stdio: ["pipe", "ignore", "inherit"] });
  table.stdin.end(`label: gpt\nstart=${partitionStart / 512}, size=${partitionBytes / 512}, type=linux\n`);
  await once(table, "exit");
  const disk = await open(path, "r+");
  await disk.write(await readFile(partition), 0, partitionBytes, partitionStart);
  await disk.close();
  await rm(partition);
}
