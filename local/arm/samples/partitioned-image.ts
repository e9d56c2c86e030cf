/**
 * Images for the sample VMs: a partition table, and in its partition a real file system (mkfs.ext4, mkntfs) with a few files, made without
 * mounting anything. Where the tool is missing, a plain pattern stands in its place.
 */
import { execFile } from "node:child_process";
import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { findTool } from "../../demo/os-disk.ts";
import { partitionBytes, partitionStart, partitionTable, type PartitionType } from "./gpt.ts";
import { isZero } from "./upload-disk.ts";

const run = promisify(execFile);
const mib = 1024 * 1024;

export interface ImageOptions {
  readonly sizeMib: number;
  readonly type: PartitionType;
  /** Of the file system and of the partition. */
  readonly label: string;
  /** By their paths; ext4 alone takes them. */
  readonly files: Readonly<Record<string, string>>;
}

/** Makes `file`; needs room for some MiB beside it for the time. */
export async function makePartitionedImage(file: string, options: ImageOptions): Promise<void> {
  const sizeBytes = options.sizeMib * mib;
  const partition = `${file}.partition`;
  await makePartition(partition, partitionBytes(sizeBytes), options);
  const [image, content] = [await open(file, "w"), await open(partition)];
  try {
    await image.truncate(sizeBytes);
    for (const piece of partitionTable(sizeBytes, options.type, options.label)) {
      await image.write(piece.content, 0, piece.content.length, piece.offset);
    }
    const block = Buffer.alloc(mib);
    for (let offset = 0; offset < partitionBytes(sizeBytes); offset += mib) {
      const { bytesRead } = await content.read(block, 0, mib, offset);
      if (!isZero(block.subarray(0, bytesRead))) await image.write(block, 0, bytesRead, partitionStart + offset);
    }
  } finally {
    await image.close();
    await content.close();
  }
  await rm(partition);
}

async function makePartition(file: string, sizeBytes: number, { type, label, files }: ImageOptions): Promise<void> {
  const handle = await open(file, "w");
  await handle.truncate(sizeBytes);
  const tool = await findTool(type === "linux" ? "mkfs.ext4" : "mkntfs");
  if (tool === undefined) {
    const pattern = Buffer.alloc(4 * mib);
    for (let at = 0; at < pattern.length; at += 4) pattern.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
    await handle.write(pattern, 0, pattern.length, 0);
  }
  await handle.close();
  if (tool === undefined) return;
  if (type === "windows") {
    const place = ["-p", String(partitionStart / 512), "-H", "255", "-S", "63"];
    await run(tool, ["-F", "-Q", "-q", ...place, "-L", label, file]);
    return;
  }
  const content = `${file}.content`;
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(content, path)), { recursive: true });
    await writeFile(join(content, path), text);
  }
  await mkdir(content, { recursive: true });
  await run(tool, ["-q", "-F", "-L", label, "-d", content, file]);
  await rm(content, { recursive: true });
}
