/** Targets that need no server: memory, and files. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openFileDisk } from "../../shared/adapters/local/file-disk.ts";
import { FileTarget } from "../../shared/adapters/local/file-target.ts";
import { MemoryDiskTarget } from "../../shared/adapters/memory/memory-disk-target.ts";
import { readImage } from "../../shared/adapters/memory/sparse-image.ts";
import { parseDiskName } from "../../shared/core/ids.ts";
import { sampleRunId } from "../support/sample-rows.ts";
import { diskTargetConformance } from "./disk-target.suite.ts";

const signal = new AbortController().signal;
const run = sampleRunId(1);
const other = sampleRunId(2);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-file-target-"));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

let places = 0;
const newPlace = (): string => join(folder, String(++places), "deeper");
const name = parseDiskName("os");

describe("Memory as a target", () => {
  diskTargetConformance(async () => {
    const target = new MemoryDiskTarget();
    return Promise.resolve({
      target,
      place: "https://target.example/restored",
      finished: async ({ url }) => {
        const image = target.finished(url);
        return Promise.resolve(image === undefined ? undefined : Buffer.from(readImage(image, 0, image.sizeBytes)));
      },
    });
  });
});

describe.each(["raw", "vhd"] as const)("Files as a target (%s)", (format) => {
  diskTargetConformance(async () =>
    Promise.resolve({
      target: new FileTarget(format),
      place: newPlace(),
      finished: async ({ url }) => {
        if (!existsSync(url)) return undefined;
        const content = await readFile(url);
        return format === "vhd" ? content.subarray(0, -512) : content;
      },
    }),
  );

  test("make an image that is read back as a disk, and leave nothing else in the folder", async () => {
    const target = new FileTarget(format);
    const place = newPlace();
    const disk = { name, sizeBytes: 1024 * 1024, url: target.locate(place, name) };
    await target.prepare(disk, run, signal);
    await target.finish(disk, run, signal);
    expect(await readdir(place)).toEqual([`os.${format}`]);
    const image = await openFileDisk(disk.url);
    expect(image).toMatchObject({ format, sizeBytes: 1024 * 1024 });
    await image.close();
  });

  test("take up no space for zeros", async () => {
    const target = new FileTarget(format);
    const sizeBytes = 64 * 1024 * 1024;
    const disk = { name, sizeBytes, url: target.locate(newPlace(), name) };
    await target.prepare(disk, run, signal);
    await target.write(disk, run, 0, Buffer.alloc(4 * 1024 * 1024), signal);
    await target.write(disk, run, 8 * 1024 * 1024, Buffer.alloc(4096, 1), signal);
    await target.finish(disk, run, signal);
    const { size, blocks } = await stat(disk.url);
    expect(size).toBe(sizeBytes + (format === "vhd" ? 512 : 0));
    expect(blocks * 512).toBeLessThan(1024 * 1024);
  });

  const sizeBytes = 8192;
  const diskAt = (place: string, target: FileTarget) => ({ name, sizeBytes, url: target.locate(place, name) });

  test("leave a file that stands there, and unfinished work of another restore, naming what removes it", async () => {
    const place = newPlace();
    const first = new FileTarget(format);
    const disk = diskAt(place, first);
    await first.prepare(disk, run, signal);
    await first.leave();
    const second = new FileTarget(format);
    await expect(second.prepare(disk, other, signal)).rejects.toMatchObject({
      code: "target-exists",
      message: expect.stringMatching(
        /os\.\w+\.partial is the unfinished work of .*\(rm .*\.partial .*\.partial\.state\)/,
      ),
    });
    await second.prepare(disk, run, signal);
    await second.discard(disk, run, signal);
    await writeFile(disk.url, "mine");
    await expect(second.prepare(disk, run, signal)).rejects.toMatchObject({ code: "target-exists" });
    expect(await readFile(disk.url, "utf8")).toBe("mine");
  });

  test("go on with work that was killed at any point of its beginning", async () => {
    const begun = newPlace();
    const first = new FileTarget(format);
    await first.prepare(diskAt(begun, first), run, signal);
    await first.leave();
    const { url } = diskAt(begun, first);
    const state = await readFile(`${url}.partial.state`);
    /** What a kill leaves: the state alone, an empty file beside it, one that was not cut to its length yet. */
    for (const left of [undefined, 0, 4096]) {
      const place = newPlace();
      const target = new FileTarget(format);
      const disk = diskAt(place, target);
      await mkdir(place, { recursive: true });
      await writeFile(`${disk.url}.partial.state`, state);
      if (left !== undefined) await writeFile(`${disk.url}.partial`, Buffer.alloc(left, 1));
      await target.prepare(disk, run, signal);
      expect(await target.reached(disk, run, signal)).toBe(0);
      await target.finish(disk, run, signal);
      expect((await readFile(disk.url)).subarray(0, sizeBytes).equals(Buffer.alloc(sizeBytes))).toBe(true);
      expect(await readdir(place)).toEqual([`os.${format}`]);
    }
  });

  test("say where no folder can be made", async () => {
    const place = newPlace();
    await mkdir(place, { recursive: true });
    await writeFile(join(place, "file"), "mine");
    const target = new FileTarget(format);
    await expect(target.prepare(diskAt(join(place, "file", "x"), target), run, signal)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/cannot be made: a file stands on the way/) as string,
    });
  });

  test("write through no link that stands in the place of their own files", async () => {
    const place = newPlace();
    await mkdir(place, { recursive: true });
    const victim = join(folder, `victim-${format}`);
    await writeFile(victim, "mine");
    const target = new FileTarget(format);
    const disk = diskAt(place, target);
    await symlink(victim, `${disk.url}.partial.state`);
    await target.prepare(disk, run, signal);
    await target.leave();
    expect(await readFile(victim, "utf8")).toBe("mine");
    await rm(`${disk.url}.partial`);
    await symlink(victim, `${disk.url}.partial`);
    await expect(target.prepare(disk, run, signal)).rejects.toMatchObject({ code: "target-exists" });
    expect(await readFile(victim, "utf8")).toBe("mine");
  });

  test("let one process at a time write into a folder", async () => {
    const place = newPlace();
    const [first, second] = [new FileTarget(format), new FileTarget(format)];
    await first.prepare(diskAt(place, first), run, signal);
    const data = { ...diskAt(place, second), name: parseDiskName("data"), url: join(place, "data.raw") };
    await expect(second.prepare(data, other, signal)).rejects.toMatchObject({ code: "in-use" });
    await first.leave();
    await second.prepare(data, other, signal);
    await second.leave();
  });

  test("go on where they last stood for good, with holes behind that whatever was written there", async () => {
    const place = newPlace();
    const first = new FileTarget(format);
    const disk = diskAt(place, first);
    await first.prepare(disk, run, signal);
    await first.write(disk, run, 0, Buffer.alloc(4096, 1), signal);
    await first.record(disk, run, 4096, signal);
    await first.write(disk, run, 4096, Buffer.alloc(4096, 2), signal);
    await first.leave();
    const second = new FileTarget(format);
    expect(await second.standing(disk, run, signal)).toEqual({ kind: "unfinished" });
    await second.prepare(disk, run, signal);
    expect(await second.reached(disk, run, signal)).toBe(4096);
    await second.finish(disk, run, signal);
    const made = await readFile(disk.url);
    expect(made.subarray(0, sizeBytes)).toEqual(Buffer.concat([Buffer.alloc(4096, 1), Buffer.alloc(4096)]));
    expect(await readdir(place)).toEqual([`os.${format}`]);
  });

  test("know a disk that has its name already while another of the same restore has not", async () => {
    const place = newPlace();
    const first = new FileTarget(format);
    const os = diskAt(place, first);
    const data = { ...os, name: parseDiskName("data"), url: first.locate(place, parseDiskName("data")) };
    for (const disk of [os, data]) {
      await first.prepare(disk, run, signal);
      await first.write(disk, run, 0, Buffer.alloc(sizeBytes, 3), signal);
      await first.record(disk, run, sizeBytes, signal);
    }
    await first.finish(os, run, signal);
    await first.leave();
    const second = new FileTarget(format);
    for (const disk of [os, data]) {
      await second.prepare(disk, run, signal);
      expect(await second.reached(disk, run, signal)).toBe(sizeBytes);
    }
    for (const disk of [os, data]) await second.finish(disk, run, signal);
    expect((await readdir(place)).sort()).toEqual([`data.${format}`, `os.${format}`]);
  });

  test("replace a file, at the end, and another restore's work, where that is asked for", async () => {
    const place = newPlace();
    const before = new FileTarget(format);
    const disk = diskAt(place, before);
    await before.prepare(disk, other, signal);
    await before.leave();
    await writeFile(disk.url, "mine");
    const target = new FileTarget(format, { overwrite: true });
    await target.prepare(disk, run, signal);
    await target.write(disk, run, 0, Buffer.alloc(512, 4), signal);
    expect(await readFile(disk.url, "utf8")).toBe("mine");
    await target.finish(disk, run, signal);
    expect((await readFile(disk.url))[0]).toBe(4);
    expect(await readdir(place)).toEqual([`os.${format}`]);
  });

  test("do not replace a file that appeared while the disk was written", async () => {
    const target = new FileTarget(format);
    const disk = { name, sizeBytes: 4096, url: target.locate(newPlace(), name) };
    await target.prepare(disk, run, signal);
    await writeFile(disk.url, "mine");
    await expect(target.finish(disk, run, signal)).rejects.toMatchObject({ code: "target-exists" });
    expect(await readFile(disk.url, "utf8")).toBe("mine");
    await target.discard(disk, run, signal);
    expect(existsSync(`${disk.url}.partial`)).toBe(false);
  });
});

describe("A file system that is full", () => {
  let small: string;
  let isMounted = false;
  beforeAll(async () => {
    small = await mkdtemp(join(tmpdir(), "farside-full-"));
    isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "none", small]).status === 0;
  });
  afterAll(async () => {
    if (isMounted) spawnSync("umount", [small]);
    await rm(small, { recursive: true, force: true });
  });

  test("is said in words, and what was written is kept or removed", async ({ skip }) => {
    skip(!isMounted, "Only root may mount a small file system.");
    const target = new FileTarget("raw");
    const disk = { name, sizeBytes: 4 * 1024 * 1024, url: target.locate(small, name) };
    await target.prepare(disk, run, signal);
    await expect(target.write(disk, run, 0, Buffer.alloc(2 * 1024 * 1024, 1), signal)).rejects.toMatchObject({
      code: "target-full",
      message: expect.stringMatching(/no space left for .*os\.raw/),
    });
    await target.discard(disk, run, signal);
    expect(await readdir(small)).toEqual([]);
  });
});
