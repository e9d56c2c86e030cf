import { describe } from "vitest";
import { MemoryDiskReverter } from "../../shared/adapters/memory/memory-disk-reverter.ts";
import { MemoryDiskSource } from "../../shared/adapters/memory/memory-disk-source.ts";
import { readImage } from "../../shared/adapters/memory/sparse-image.ts";
import { parseDiskName } from "../../shared/core/ids.ts";
import { diskReverterConformance } from "./disk-reverter.suite.ts";

const url = "https://source.example/vm/os.vhd";
const sizeBytes = 1024 * 1024;
const signal = new AbortController().signal;

describe("Disks in memory, written in place", () => {
  diskReverterConformance(async () => {
    const source = new MemoryDiskSource(() => 0);
    source.addDisk(url, sizeBytes);
    source.write(url, 0, Buffer.alloc(sizeBytes, 7));
    const reverter = new MemoryDiskReverter(source);
    return Promise.resolve({
      reverter,
      disk: { name: parseDiskName("os"), sizeBytes, url },
      content: async () => Promise.resolve(Buffer.from(readImage(source.image(url), 0, sizeBytes))),
      contentOf: async (reference) => Buffer.from(await source.read(reference, 0, sizeBytes, signal)),
      use: async (inUse) =>
        Promise.resolve(void (inUse ? reverter.holders.set(url, "machine") : reverter.holders.delete(url))),
      snapshots: async () => Promise.resolve(reverter.kept().length),
    });
  });
});
