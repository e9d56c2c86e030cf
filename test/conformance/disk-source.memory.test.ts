import { describe } from "vitest";
import { MemoryDiskSource, type DiffBehaviour } from "../../shared/adapters/memory/memory-disk-source.ts";
import { parseDiskName } from "../../shared/core/ids.ts";
import { sampleVm } from "../support/sample-rows.ts";
import { diskSourceConformance, testDiskBytes } from "./disk-source.suite.ts";

const urls = ["os", "data"].map((name) => `https://source.example/vhds/${name}.vhd`);

function make(diff: DiffBehaviour) {
  const source = new MemoryDiskSource(() => Date.now());
  source.diff = diff;
  for (const url of urls) source.addDisk(url, testDiskBytes);
  const url = (disk: number): string => urls[disk] ?? "";
  return Promise.resolve({
    source,
    vm: {
      ...sampleVm,
      source: {
        kind: "page-blob" as const,
        disks: [
          { name: parseDiskName("os"), url: url(0), role: "os" as const },
          { name: parseDiskName("data"), url: url(1), role: "data" as const },
        ],
      },
    },
    write: async (disk: number, offset: number, content: Uint8Array) =>
      Promise.resolve(source.write(url(disk), offset, content)),
    clear: async (disk: number, offset: number, length: number) =>
      Promise.resolve(source.clear(url(disk), offset, length)),
    destroy: async (disk: number) => Promise.resolve(source.removeDisk(url(disk))),
    diff: diff.kind === "everything" ? ("wrong" as const) : ("exact" as const),
  });
}

describe("Disks in memory, with a changed-page list that is exact", () => {
  diskSourceConformance(() => make({ kind: "exact" }));
});

describe("Disks in memory, with a changed-page list that is wrong", () => {
  diskSourceConformance(() => make({ kind: "everything" }));
});
