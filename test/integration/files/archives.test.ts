/** Archives of hostile and of plain trees, read by the programs that people unpack them with. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TarArchive } from "../../../shared/adapters/local/tar-archive.ts";
import { ZipArchive } from "../../../shared/adapters/local/zip-archive.ts";
import { tarHeader } from "../../../shared/core/files/tar-header.ts";
import { imageCorrupt } from "../../../shared/images/image-errors.ts";
import { decodeFileName, encodeFileName } from "../../../shared/images/file-name.ts";
import { archiveFiles } from "../../../shared/operations/files/archive-files.ts";
import type { TakeReport } from "../../../shared/operations/files/take-report.ts";
import type { ByteSink } from "../../../shared/ports/archive-writer.ts";
import {
  directory,
  file,
  link,
  memoryFileSystem,
  special,
  type MemoryNode,
} from "../../support/files/memory-file-system.ts";
import { haveTools } from "../../support/tools.ts";

const run = promisify(execFile);
const { signal } = new AbortController();

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-archives-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Kind = "tar" | "zip";

async function archive(kind: Kind, root: MemoryNode, sink: ByteSink, as: readonly string[] = []): Promise<TakeReport> {
  const fs = memoryFileSystem(root);
  const writer = kind === "tar" ? new TarArchive(sink, encodeFileName) : new ZipArchive(sink);
  const start = { path: [], stat: await fs.stat(fs.root, signal) };
  return archiveFiles(fs, start, writer, { as, preserveSpecial: true, onProgress: () => undefined }, signal);
}

/** Writes `<folder>/<name>.<kind>`. */
async function written(
  name: string,
  kind: Kind,
  root: MemoryNode,
  as: readonly string[] = [],
): Promise<[string, TakeReport]> {
  const path = join(folder, `${name}.${kind}`);
  const out = createWriteStream(path);
  const report = await archive(kind, root, (bytes) => new Promise((done) => out.write(bytes, () => done())), as);
  out.end();
  await once(out, "finish");
  return [path, report];
}

const shared = file("shared content");
const long = `${"long ".repeat(45)}name`;
const plain = directory(
  {
    "ünïcode 名": file("name"),
    [long]: directory({ [long]: directory({ deep: file("deep") }) }, { modifiedNs: 15n * 10n ** 17n }),
    "new\nline": file("line"),
    shared,
    again: shared,
    relative: link("ünïcode 名"),
    far: link(`/${long}/${long}`),
    empty: file(""),
    big: file("x".repeat(300_000), { uid: 3_000_000, gid: 70_000, mode: 0o6750 }),
    sparse: file("", { sizeBytes: 1_000_000, data: [{ offset: 999_990, content: Buffer.from("0123456789") }] }),
    pipe: special("fifo"),
  },
  { mode: 0o750 },
);

describe.runIf(haveTools("tar"))("A tar archive", () => {
  test("comes out of GNU tar as it was", async () => {
    const [path, report] = await written("plain", "tar", plain, ["top"]);
    expect(report).toMatchObject({ files: 7, directories: 3, links: 2, hardLinks: 1, problems: { items: [] } });
    expect(report.skipped.items).toEqual([{ path: "/pipe", reason: "a fifo is never made" }]);
    const out = join(folder, "plain-tar");
    await mkdir(out);
    await run("tar", ["-xpf", path, "-C", out, "--no-same-owner"]);
    const at = (...names: string[]): string => join(out, "top", ...names);
    expect(await readFile(at("ünïcode 名"), "utf8")).toBe("name");
    expect(await readFile(at(long, long, "deep"), "utf8")).toBe("deep");
    expect(await readFile(at("new\nline"), "utf8")).toBe("line");
    expect((await lstat(at("shared"))).ino).toBe((await lstat(at("again"))).ino);
    expect(await readlink(at("far"))).toBe(`/${long}/${long}`);
    expect(await readFile(at("big"), "utf8")).toBe("x".repeat(300_000));
    expect((await readFile(at("sparse"))).subarray(999_989).toString()).toBe("\x000123456789");
    expect((await lstat(at("big"))).mode & 0o7777).toBe(0o6750);
    expect((await lstat(at())).mode & 0o7777).toBe(0o750);
    const { stdout: listed } = await run("tar", ["--numeric-owner", "--full-time", "-tvf", path]);
    expect(listed).toMatch(/-rwsr-s--- 3000000\/70000 +300000 2023-11-14 \d\d:\d\d:20\.123456789 top\/big/);
  });

  test("keeps names that are no text, and attributes of any bytes", async () => {
    const name = Buffer.from([0x66, 0xff, 0x5c]);
    const value = Buffer.from([0, 255, 10, 61, 0]);
    const root = directory({ [decodeFileName(name)]: file("bytes", { attributes: { "user.bytes": value } }) });
    const [path] = await written("bytes", "tar", root);
    const out = join(folder, "bytes-tar");
    await mkdir(out);
    await run("tar", ["--xattrs", "-xpf", path, "-C", out]);
    expect(await readdir(out, { encoding: "buffer" })).toEqual([name]);
    const { stdout } = await run("sh", ["-c", 'cd "$1" && getfattr --only-values -n user.bytes *', "sh", out], {
      encoding: "buffer",
    });
    expect(stdout).toEqual(value);
  });

  test("begins at once, and waits for who reads it", async () => {
    let read = 0;
    const endless = file("", { sizeBytes: 2 ** 40, data: [] });
    const root = directory(function* () {
      for (let count = 0; count < 1000; count++) {
        read = count;
        yield [`f${count}`, endless] as const;
      }
    });
    const stop = new Error("enough");
    let bytes = 0;
    const sink: ByteSink = async (part) => {
      bytes += part.length;
      if (bytes > 100_000) throw stop;
    };
    await expect(archive("tar", root, sink)).rejects.toBe(stop);
    // Counting links walks the list once; the archive stopped within its first file.
    expect(read).toBeLessThan(1000);
    expect(bytes).toBeLessThan(300_000);
  });

  test("stays readable where a file fails in its middle, which is told with the place", async () => {
    const failure = { at: 5000, error: imageCorrupt("block 7", "it is torn") };
    const root = directory({
      bad: file("x".repeat(9000), { failure }),
      none: file("x", { failure: { ...failure, at: 0 } }),
      z: file("z"),
    });
    const [path, report] = await written("failed", "tar", root);
    expect(report.problems.items).toEqual([
      {
        path: "/bad",
        code: "image-corrupt",
        message: expect.stringMatching(
          /it is torn\. In the archive zeros stand for its bytes 4096 to 8999\.$/,
        ) as string,
      },
      { path: "/none", code: "image-corrupt", message: expect.stringMatching(/it is torn\.$/) as string },
    ]);
    const { stdout } = await run("tar", ["-xOf", path]);
    expect(stdout).toBe(`${"x".repeat(4096)}${"\0".repeat(9000 - 4096)}z`);
  });

  test("says sizes beyond 8 GiB and 2^33 seconds so that tar understands", async () => {
    const facts = { mode: 0o644, uid: 0, gid: 0, modifiedNs: 20_000_000_000n * 10n ** 9n };
    const header = tarHeader({ kind: "file", path: Buffer.from("huge"), sizeBytes: 9 * 1024 ** 3 + 1, ...facts });
    const tar = spawn("tar", ["--utc", "-tv"], { stdio: ["pipe", "pipe", "ignore"] });
    let listed = "";
    tar.stdout.on("data", (text: Buffer) => (listed += text.toString()));
    tar.stdin.end(header);
    await once(tar, "close");
    expect(listed).toMatch(/ 9663676417 2603-10-11 11:33 huge/);
  });
});

describe.runIf(haveTools("unzip", "python3"))("A zip archive", () => {
  test("comes out of unzip as it was", async () => {
    const [path, report] = await written("plain", "zip", plain, ["top"]);
    expect(report).toMatchObject({ files: 8, directories: 3, links: 2, hardLinks: 0, problems: { items: [] } });
    expect((await run("unzip", ["-tq", path])).stdout).toMatch(/No errors detected/);
    const out = join(folder, "plain-zip");
    await mkdir(out);
    await run("unzip", ["-qqK", path, "-d", out]);
    const at = (...names: string[]): string => join(out, "top", ...names);
    expect(await readFile(at("ünïcode 名"), "utf8")).toBe("name");
    expect(await readFile(at(long, long, "deep"), "utf8")).toBe("deep");
    expect(await readFile(at("again"), "utf8")).toBe("shared content");
    expect(await readlink(at("relative"))).toBe("ünïcode 名");
    expect((await readFile(at("sparse"))).subarray(999_989).toString()).toBe("\x000123456789");
    expect((await lstat(at("big"))).mode & 0o777).toBe(0o750);
    expect((await lstat(at("big"))).mtimeMs).toBe(1_700_000_000_000);
  });

  test("is understood by another reader too: owners, times, and more entries than 16 bits count", async () => {
    const empty = file("", { uid: 70_000, gid: 3_000_000, modifiedNs: -86_400_000_000_000n });
    const root = directory(function* () {
      for (let count = 0; count < 66_000; count++) yield [`f${count}`, empty] as const;
      yield ["big", file("x".repeat(300_000))] as const;
    });
    const [path] = await written("many", "zip", root);
    const script = [
      "import struct,sys,zipfile",
      "z = zipfile.ZipFile(sys.argv[1])",
      "assert z.testzip() is None",
      "one = z.getinfo('f65999')",
      "print(len(z.infolist()), z.getinfo('big').file_size, struct.unpack('<HHBi HHBBIBI', one.extra), oct(one.external_attr >> 16))",
    ].join("\n");
    const { stdout } = await run("python3", ["-c", script, path]);
    expect(stdout).toBe("66001 300000 (21589, 5, 1, -86400, 30837, 11, 1, 4, 70000, 4, 3000000) 0o100644\n");
    expect((await run("unzip", ["-Zt", path])).stdout).toMatch(/^66001 files/);
  });

  test("holds no name that would become a path", async () => {
    const root = directory({ "..\\..\\evil": file("a"), "C:evil": file("b"), ok: file("c") });
    const [path, report] = await written("names", "zip", root);
    expect(report.renamed.items.map(({ path }) => path)).toEqual(["/..\\..\\evil", "/C:evil"]);
    const { stdout } = await run("unzip", ["-Z1", path]);
    expect(stdout).toMatch(/^\.\._\.\._?.*evil.*\nC_evil~\d+\nok\n$/);
  });

  test("stays readable where a file fails in its middle, which is told", async () => {
    const failure = { at: 5000, error: imageCorrupt("block 7", "it is torn") };
    const root = directory({ bad: file("x".repeat(9000), { failure }), z: file("z") });
    const [path, report] = await written("failed", "zip", root);
    expect(report.problems.items.map(({ path }) => path)).toEqual(["/bad"]);
    const { stdout } = await run("unzip", ["-p", path]);
    expect(stdout).toBe(`${"x".repeat(4096)}${"\0".repeat(9000 - 4096)}z`);
  });

  test("ends by the error of who reads it, and of what is no file's fault", async () => {
    const stop = new Error("enough");
    const noise = file(Buffer.from(Array.from({ length: 500_000 }, (_, at) => (at * at * 31) >> 3)));
    const full: ByteSink = async () => {
      throw stop;
    };
    await expect(archive("zip", directory({ a: noise, b: noise }), full)).rejects.toBe(stop);
    const defect = file("x", { failure: { at: 0, error: new TypeError("a defect") } });
    await expect(archive("zip", directory({ defect }), async () => undefined)).rejects.toThrow("a defect");
    const later = file("x".repeat(5000), { failure: { at: 4000, error: new TypeError("a defect") } });
    await expect(archive("zip", directory({ later }), async () => undefined)).rejects.toThrow("a defect");
  });
});
