import { randomBytes } from "node:crypto";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openFileDisk } from "../../../../shared/adapters/local/file-disk.ts";
import { buildVhdFooter } from "../../../../shared/core/vhd.ts";

const mib = 1024 * 1024;
const signal = new AbortController().signal;
const footer = (sizeBytes: number) =>
  Buffer.from(buildVhdFooter({ sizeBytes, createdAtMs: 0, uniqueId: new Uint8Array(16) }));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-file-disk-"));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

let files = 0;
async function file(content: Uint8Array): Promise<string> {
  const path = join(folder, `image-${++files}`);
  await writeFile(path, content);
  return path;
}

describe("A disk image", () => {
  test.each(["raw", "vhd"] as const)("that is %s is read as the disk alone", async (format) => {
    const content = randomBytes(mib);
    const path = await file(format === "raw" ? content : Buffer.concat([content, footer(mib)]));
    const disk = await openFileDisk(path);
    expect(disk).toMatchObject({ format, sizeBytes: mib, path });
    for (const [offset, length] of [
      [0, mib],
      [1, 1000],
      [mib - 3, 3],
      [5, 0],
    ] as const) {
      const read = await disk.read(offset, length, signal);
      expect(Buffer.compare(read, content.subarray(offset, offset + length))).toBe(0);
    }
    await expect(disk.read(mib - 1, 2, signal)).rejects.toThrow(/fit/);
    await disk.close();
  });

  test("that holds a smaller VHD as its last content is raw", async () => {
    const path = await file(Buffer.concat([Buffer.alloc(3 * mib), footer(mib)]));
    const disk = await openFileDisk(path);
    expect(disk).toMatchObject({ format: "raw", sizeBytes: 3 * mib + 512 });
    await disk.close();
  });

  test("gives the extents that hold something, touching ones as one", async () => {
    const content = Buffer.alloc(8 * mib + 512);
    for (const at of [mib, 2 * mib + 5, 6 * mib, 8 * mib]) content[at] = 1;
    const disk = await openFileDisk(await file(content));
    const extents = [];
    for await (const extent of disk.extents(signal)) extents.push(extent);
    expect(extents).toEqual([
      { offset: mib, length: 2 * mib },
      { offset: 6 * mib, length: mib },
      { offset: 8 * mib, length: 512 },
    ]);
    await disk.close();
  });

  test("that becomes shorter while it is read is an error, not zeros", async () => {
    const path = await file(randomBytes(mib));
    const disk = await openFileDisk(path);
    await truncate(path, mib / 2);
    await expect(disk.read(0, mib, signal)).rejects.toMatchObject({ code: "source-corrupt" });
    await disk.close();
  });
});

describe("What is no disk image", () => {
  const begin = (magic: string, at = 0): Buffer => {
    const content = Buffer.alloc(4096);
    content.write(magic, at, "latin1");
    return content;
  };
  const dynamic = footer(mib);
  dynamic.writeUInt32BE(3, 60);
  dynamic.writeUInt32BE(dynamic.readUInt32BE(64) - 1, 64);
  const damaged = footer(mib);
  damaged[100] = 1;

  test.each([
    ["an empty file", Buffer.alloc(0), /is empty/],
    ["a size that is no multiple of 512", Buffer.alloc(1000), /1000 bytes.*512/],
    ["qcow2", begin("QFI\xfb"), /qcow2.*qemu-img convert -O raw/],
    ["VHDX", begin("vhdxfile"), /VHDX.*qemu-img convert -O raw/],
    ["a dynamic VHD, seen by its beginning", begin("conectix"), /dynamic VHD.*qemu-img convert -O raw/],
    ["a dynamic VHD, seen by its end", Buffer.concat([Buffer.alloc(1024), dynamic]), /dynamic VHD/],
    ["VMDK", begin("KDMV"), /VMDK/],
    ["VDI", begin("\x7f\x10\xda\xbe", 64), /VDI/],
    ["a VHD cut short", Buffer.concat([Buffer.alloc(1024), footer(mib)]), /cut short/],
    ["a VHD with a damaged footer", Buffer.concat([Buffer.alloc(mib), damaged]), /damaged VHD footer/],
  ])("is refused: %s", async (_, content, why) => {
    const opening = openFileDisk(await file(content));
    await expect(opening).rejects.toMatchObject({ code: "bad-input", message: expect.stringMatching(why) });
  });

  test("is refused: a folder, and a file that is not there", async () => {
    await expect(openFileDisk(folder)).rejects.toMatchObject({ code: "bad-input" });
    await expect(openFileDisk(join(folder, "none"))).rejects.toMatchObject({ code: "not-found" });
  });
});
