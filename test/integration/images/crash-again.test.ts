/** File systems that are changed at random, whose power fails, that are mounted and fail again: compared each time with the kernel. */
import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openFileSystem } from "../../../shared/images/file-systems/open-file-system.ts";
import { openFileDevice } from "../../support/images/file-device.ts";
import { copyImage, imageFolder, makeImage, withMounted } from "../../support/images/mounted-image.ts";
import type { TreeView } from "../../support/images/tree-view.ts";
import { differences, kernelView, readerView } from "../../support/images/tree-view.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const { signal } = new AbortController();
const changer = join(import.meta.dirname, "../../support/images/change-at-random.py");
const mebibyte = 1024 * 1024;
/** Of each run on one image. */
const steps = [150, 600, 30];

interface Kind {
  readonly type: "ext4" | "xfs";
  readonly sizeBytes: number;
  readonly mkfs: readonly string[];
  readonly mount: readonly string[];
}

const kinds: readonly Kind[] = [
  { type: "ext4", sizeBytes: 48 * mebibyte, mkfs: ["-b", "1024", "-J", "size=1"], mount: ["data=journal"] },
  { type: "ext4", sizeBytes: 64 * mebibyte, mkfs: ["-O", "bigalloc,inline_data", "-C", "16384"], mount: [] },
  {
    type: "ext4",
    sizeBytes: 64 * mebibyte,
    mkfs: ["-b", "2048", "-g", "2048", "-O", "meta_bg,^resize_inode,sparse_super2"],
    mount: ["nodelalloc"],
  },
  {
    type: "xfs",
    sizeBytes: 300 * mebibyte,
    mkfs: ["-b", "size=1024", "-m", "rmapbt=1", "-l", "su=64k"],
    mount: ["logbsize=256k"],
  },
];

describe.runIf(haveTools("root", "mkfs.ext4", "mkfs.xfs", "python3", "mount"))("A file system", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await imageFolder("crash-again");
  });
  afterAll(async () => rm(folder, { recursive: true }));

  async function readerShows(type: string, image: string): Promise<TreeView> {
    const device = await openFileDevice(image);
    try {
      const fileSystem = await openFileSystem(type, device, signal);
      expect(fileSystem.facts.state.kind).toBe("replayed");
      return await readerView(fileSystem, signal);
    } finally {
      await device.close();
    }
  }

  test.each(kinds)(
    "$type of $mkfs mounted with $mount is as the kernel replays it, crash after crash",
    async (kind) => {
      const imageAt = (name: string): string => join(folder, name);
      const [image, crashed, judge] = [imageAt("image"), imageAt("crashed"), imageAt("judge")];
      await makeImage(image, kind.sizeBytes, `mkfs.${kind.type}`, ["-q", ...kind.mkfs]);
      for (const [index, count] of steps.entries()) {
        const work = async (mounted: string): Promise<void> => {
          await run(tool("python3"), [changer, mounted, String(index), String(count)]);
          await copyImage(image, crashed);
        };
        await withMounted(image, work, kind.mount);
        await copyImage(crashed, judge);
        const reader = await readerShows(kind.type, crashed);
        const kernel = await withMounted(judge, (mounted) => kernelView(mounted));
        expect({ index, differences: differences(kernel, reader) }).toEqual({ index, differences: [] });
      }
      await rm(image);
    },
  );
});
