/** Files of hostile images taken out to a real folder: what is there afterwards, and that nothing is anywhere else. */
import { execFileSync } from "node:child_process";
import { lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ExtractFolder, type ExtractFolderOptions } from "../../../../shared/adapters/local/extract-folder.ts";
import { FarsideError } from "../../../../shared/core/errors.ts";
import { corrupt } from "../../../../shared/core/vault/corrupt.ts";
import { decodeFileName, encodeFileName } from "../../../../shared/images/file-name.ts";
import { imageCorrupt } from "../../../../shared/images/image-errors.ts";
import { takeFiles, type TakeOptions } from "../../../../shared/operations/files/take-files.ts";
import type { TakeReport } from "../../../../shared/operations/files/take-report.ts";
import {
  directory,
  file,
  link,
  memoryFileSystem,
  special,
  type MemoryNode,
} from "../../../support/files/memory-file-system.ts";

const { signal } = new AbortController();
const exact = { rules: "posix", ignoresCase: false, bytesOf: (name: string) => encodeFileName(name).length } as const;

let top: string;
let folder: string;
beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "farside-extract-"));
  folder = join(top, "out");
  await mkdir(folder);
  await mkdir(join(top, "elsewhere"));
});
afterEach(() => rm(top, { recursive: true, force: true }));

async function take(
  root: MemoryNode,
  { as = [], attributes = false, ...options }: Partial<ExtractFolderOptions & TakeOptions> = {},
): Promise<TakeReport> {
  const fs = memoryFileSystem(root);
  const basic = {
    folder,
    overwrite: false,
    preserveSpecial: false,
    owners: false,
    names: exact,
    encodeName: encodeFileName,
  };
  const target = new ExtractFolder({ ...basic, ...options });
  const preserveSpecial = options.preserveSpecial ?? false;
  const start = { path: [], stat: await fs.stat(fs.root, signal) };
  return takeFiles(fs, start, target, { as, attributes, preserveSpecial, onProgress: () => undefined }, signal);
}

const whole = { problems: { items: [], untold: 0 } };
const reasons = (report: TakeReport): string[] =>
  report.problems.items.map(({ path, message }) => `${path}: ${message}`);
const modeOf = async (...path: string[]): Promise<number> => (await lstat(join(folder, ...path))).mode & 0o7777;

describe("A folder taken out", () => {
  test("has its files, links, hard links, modes and times", async () => {
    const shared = file("shared");
    const root = directory({
      "ünïcode 名": file("name"),
      private: directory(
        { a: file("a", { mode: 0o400 }), again: shared },
        { mode: 0o500, modifiedNs: 5n * 10n ** 17n },
      ),
      shared,
      relative: link("private/a"),
      absolute: link("/etc/passwd"),
      up: link("../../../elsewhere"),
      old: file("old", { modifiedNs: -86_400_000_000_000n }),
      empty: file(""),
    });
    const report = await take(root);
    expect(report).toMatchObject({ ...whole, files: 5, directories: 2, links: 3, hardLinks: 1, bytes: 14 });
    expect(await readFile(join(folder, "ünïcode 名"), "utf8")).toBe("name");
    expect(await modeOf("private")).toBe(0o500);
    expect(await modeOf("private", "a")).toBe(0o400);
    expect((await lstat(join(folder, "private"))).mtimeMs).toBe(5e11);
    expect((await lstat(join(folder, "old"))).mtimeMs).toBe(-86_400_000);
    expect((await lstat(join(folder, "shared"))).mtimeMs).toBeCloseTo(1_700_000_000_123.456, 2);
    expect((await lstat(join(folder, "up"))).mtimeMs).toBeCloseTo(1_700_000_000_123.456, 2);
    expect((await lstat(join(folder, "shared"))).ino).toBe((await lstat(join(folder, "private", "again"))).ino);
    expect(await readlink(join(folder, "absolute"))).toBe("/etc/passwd");
    expect(await readlink(join(folder, "up"))).toBe("../../../elsewhere");
    expect((await readdir(folder)).filter((name) => name.startsWith(".farside"))).toEqual([]);
  });

  test("keeps its holes", async () => {
    const data = [{ offset: 30 * 1024 * 1024, content: Buffer.alloc(100, "x") }];
    await take(directory({ sparse: file("", { sizeBytes: 64 * 1024 * 1024, data }) }));
    const facts = await lstat(join(folder, "sparse"));
    expect(facts.size).toBe(64 * 1024 * 1024);
    expect(facts.blocks * 512).toBeLessThan(1024 * 1024);
    const content = await readFile(join(folder, "sparse"));
    expect(content.indexOf("x")).toBe(30 * 1024 * 1024);
  });

  test("keeps names that are no text", async () => {
    const name = Buffer.from([0x66, 0xff, 0xfe, 0x5c, 0x0a, 0x6f]);
    await take(directory({ [decodeFileName(name)]: file("bytes") }));
    expect(await readdir(folder, { encoding: "buffer" })).toEqual([name]);
  });

  test("has neither devices, pipes nor sockets, and says so", async () => {
    const root = directory({
      sda: special("block-device"),
      tty: special("character-device"),
      p: special("fifo"),
      s: special("socket"),
    });
    const report = await take(root);
    expect(report.skipped.items.map(({ reason }) => reason)).toEqual([
      "a block-device is never made",
      "a character-device is never made",
      "a fifo is never made",
      "a socket is never made",
    ]);
    expect(await readdir(folder)).toEqual([]);
  });

  test("has no special bits unless they are asked for", async () => {
    const root = directory({ su: file("", { mode: 0o6755 }), sticky: directory({}, { mode: 0o3777 }) });
    const report = await take(root);
    expect(report.skipped.items).toEqual([{ path: "/su", reason: "its set-user-id or set-group-id bit was left out" }]);
    expect(await modeOf("su")).toBe(0o755);
    expect(await modeOf("sticky")).toBe(0o1777);
    await take(directory({ again: root }), { preserveSpecial: true });
    expect(await modeOf("again", "su")).toBe(0o6755);
    expect(await modeOf("again", "sticky")).toBe(0o3777);
  });

  test("goes on beside a damaged file, of which nothing is left", async () => {
    const damaged = { at: 2000, error: corrupt({ object: "chunks/ab", reason: "missing" }, "it is missing") };
    const root = directory({
      a: file("a"),
      damaged: file("x".repeat(5000), { failure: damaged }),
      torn: directory({ before: file("b") }, { failure: { at: 0, error: imageCorrupt("block 9", "it is torn") } }),
      z: file("z"),
    });
    const report = await take(root);
    expect(report).toMatchObject({ files: 3, vaultDamaged: true });
    expect(report.problems.items.map(({ path, code }) => `${path} ${code}`).sort()).toEqual([
      "/damaged vault-corrupt",
      "/torn image-corrupt",
    ]);
    expect((await readdir(folder)).sort()).toEqual(["a", "torn", "z"]);
  });

  test("has a file for each name where the target knows no hard links, and says so", async () => {
    class Plain extends ExtractFolder {
      override makeHardLink(): Promise<void> {
        return Promise.reject(new FarsideError("not-supported", "No further name of a file can be made here."));
      }
    }
    const shared = file("shared");
    const fs = memoryFileSystem(directory({ a: shared, b: shared, c: shared }));
    const names = { names: exact, encodeName: encodeFileName };
    const target = new Plain({ folder, overwrite: false, preserveSpecial: false, owners: false, ...names });
    const start = { path: [], stat: await fs.stat(fs.root, signal) };
    const options = { as: [], attributes: false, preserveSpecial: false, onProgress: () => undefined };
    const report = await takeFiles(fs, start, target, options, signal);
    expect(report).toMatchObject({ ...whole, files: 3, hardLinks: 0, skipped: { items: { length: 2 } } });
    for (const name of ["a", "b", "c"]) expect(await readFile(join(folder, name), "utf8")).toBe("shared");
  });

  test("ends with a word for it where its folder is taken away meanwhile", async () => {
    await rm(folder, { recursive: true });
    await expect(take(directory({ a: file("a", { sizeBytes: 1 }) }))).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/out\/a cannot be made: the folder/) as string,
    });
  });

  test("that is interrupted leaves no unfinished file, and ends by the interruption", async () => {
    const stop = new AbortController();
    const root = directory({ a: file("x".repeat(9000)), b: file("x".repeat(9_000_000)), c: file("c") });
    const fs = memoryFileSystem(root);
    const options = { folder, overwrite: false, preserveSpecial: false, owners: false, names: exact };
    const target = new ExtractFolder({ ...options, encodeName: encodeFileName });
    const start = { path: [], stat: await fs.stat(fs.root, signal) };
    const onProgress = ({ bytes }: { readonly bytes: number }): void => {
      if (bytes > 1_000_000) stop.abort(new Error("Ctrl-C"));
    };
    const taking = takeFiles(fs, start, target, { ...options, as: [], attributes: false, onProgress }, stop.signal);
    await expect(taking).rejects.toThrow("Ctrl-C");
    // Whether the first one was done by then is a matter of time.
    expect((await readdir(folder)).filter((name) => name !== "a")).toEqual([]);
  });

  test("writes no more small files at once than it may, and no file before its folder", async () => {
    let [now, most] = [0, 0];
    const slow = Array.from({ length: 50 }, (_, at) => [`f${at}`, file("x".repeat(3000))] as const);
    const fs = memoryFileSystem(directory({ d: directory(() => slow) }));
    const counted = {
      ...fs,
      async *read(...args: Parameters<typeof fs.read>): ReturnType<typeof fs.read> {
        now += 1;
        most = Math.max(most, now);
        yield* fs.read(...args);
        now -= 1;
      },
    };
    const basic = { folder, overwrite: false, preserveSpecial: false, owners: false, names: exact };
    const target = new ExtractFolder({ ...basic, encodeName: encodeFileName });
    const options = { as: [], attributes: false, preserveSpecial: false, onProgress: () => undefined };
    const start = { path: [], stat: await fs.stat(fs.root, signal) };
    expect(await takeFiles(counted, start, target, options, signal)).toMatchObject({ files: 50, bytes: 150_000 });
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(8);
    expect(await readdir(join(folder, "d"))).toHaveLength(50);
  });

  test("ends by what is not one file's fault, and leaves no unfinished file", async () => {
    const root = directory({ a: file("a"), bad: file("b", { failure: { at: 0, error: new TypeError("a defect") } }) });
    await expect(take(root)).rejects.toThrow("a defect");
    expect(await readdir(folder)).toEqual(["a"]);
  });
});

describe("Nothing leaves the folder", () => {
  /** A link and a directory of one name: what was "a" while the link was made is another "a" when the file is written. */
  const attack = directory(() => [
    ["a", link("../elsewhere")],
    ["a", directory({ passwd: file("stolen") })],
  ]);

  test("by a link that stands in the way of a file", async () => {
    const report = await take(attack);
    expect(await readdir(join(top, "elsewhere"))).toEqual([]);
    expect(await readFile(join(folder, "a", "passwd"), "utf8")).toBe("stolen");
    // The link comes last, finds its name taken, and is told.
    expect(reasons(report)).toEqual([expect.stringMatching(/^\/a: .*exists already/)]);
  });

  test("which a naive extraction in the image's order does (control)", async () => {
    await symlink("../elsewhere", join(folder, "a"));
    await mkdir(join(folder, "a"), { recursive: true });
    await writeFile(join(folder, "a", "passwd"), "stolen");
    expect(await readdir(join(top, "elsewhere"))).toEqual(["passwd"]);
  });

  test("by a link that stood there before, with --overwrite or without", async () => {
    await symlink("../elsewhere", join(folder, "a"));
    await symlink("../elsewhere/file", join(folder, "f"));
    const root = directory({ a: directory({ passwd: file("stolen") }), f: file("content"), g: file("g") });
    const refused = await take(root);
    expect(reasons(refused)).toHaveLength(2);
    const overwritten = await take(root, { overwrite: true });
    expect(reasons(overwritten)).toEqual([expect.stringMatching(/^\/a: /)]);
    expect(await readdir(join(top, "elsewhere"))).toEqual([]);
    // The link itself was replaced, not what it leads to.
    expect((await lstat(join(folder, "f"))).isFile()).toBe(true);
  });

  test("by a hard link, a name or a mode", async () => {
    const root = directory(() => [
      ["..", file("up")],
      ["../x", file("up")],
      ["/etc/x", directory({ y: file("up") })],
      ["nul\0x", file("up")],
    ]);
    const report = await take(root);
    expect(report.problems.items).toHaveLength(4);
    expect(await readdir(folder)).toEqual([]);
    expect((await readdir(top)).sort()).toEqual(["elsewhere", "out"]);
  });

  test("by links that no link can be", async () => {
    const report = await take(directory({ empty: link(""), nul: link("a\0b"), long: link("x".repeat(5000)) }));
    expect(report.problems.items.map(({ code }) => code)).toEqual(["bad-input", "bad-input", "bad-input"]);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("What exists", () => {
  test("is not replaced, and the rest is taken out beside it", async () => {
    await writeFile(join(folder, "a"), "mine");
    await mkdir(join(folder, "d"));
    await writeFile(join(folder, "d", "b"), "mine");
    const root = directory({ a: file("theirs"), d: directory({ b: file("theirs") }), e: file("e") });
    const report = await take(root);
    expect(report.problems.items.map(({ path, code }) => `${path} ${code}`).sort()).toEqual([
      "/a target-exists",
      "/d target-exists",
    ]);
    expect(await readFile(join(folder, "a"), "utf8")).toBe("mine");
    expect(await readFile(join(folder, "e"), "utf8")).toBe("e");
    // Not even its times: it is not ours.
    expect((await lstat(join(folder, "d"))).mtimeMs).toBeGreaterThan(1.75e12);
  });

  test("is replaced with --overwrite, a file at a time, but no directory by a file", async () => {
    await writeFile(join(folder, "a"), "mine");
    await mkdir(join(folder, "d"));
    await writeFile(join(folder, "d", "kept"), "mine");
    await mkdir(join(folder, "x"));
    const shared = file("theirs");
    const root = directory({ a: shared, d: directory({ b: shared }), x: file("file") });
    const report = await take(root, { overwrite: true });
    expect(reasons(report)).toEqual([expect.stringMatching(/^\/x: /)]);
    expect(await readFile(join(folder, "a"), "utf8")).toBe("theirs");
    expect((await readdir(join(folder, "d"))).sort()).toEqual(["b", "kept"]);
    const again = await take(root, { overwrite: true });
    expect(again.hardLinks).toBe(1);
    expect((await readdir(folder)).sort()).toEqual(["a", "d", "x"]);
  });

  test("under the name of the start ends it all", async () => {
    await mkdir(join(folder, "top"));
    await expect(take(directory({ a: file("a") }), { as: ["top"] })).rejects.toMatchObject({ code: "target-exists" });
    expect(await readdir(join(folder, "top"))).toEqual([]);
  });

  test("as somebody else's unfinished file is left alone", async () => {
    const partial = `.farside-${process.pid}-1.partial`;
    await writeFile(join(folder, partial), "theirs");
    await take(directory({ a: file("a"), b: file("b") }));
    expect((await readdir(folder)).sort()).toEqual([partial, "a", "b"]);
    expect(await readFile(join(folder, partial), "utf8")).toBe("theirs");
  });
});

describe("Names that the target cannot tell apart", () => {
  test("come out as two, and both are told", async () => {
    const root = directory({ A: directory({ x: file("1") }), a: directory({ x: file("2"), X: file("3") }) });
    const report = await take(root, { names: { ...exact, ignoresCase: true } });
    const [first, second] = (await readdir(folder)).sort();
    expect(first).toBe("A");
    expect(second).toMatch(/^a~\d+$/);
    expect(report.renamed.items.map(({ path }) => path)).toEqual(["/a", "/a/X"]);
    expect((await readdir(join(folder, second ?? ""))).sort()).toEqual([expect.stringMatching(/^X~\d+$/), "x"]);
    expect(report.problems.items).toEqual([]);
  });
});

describe.runIf(hasSetfattr())("Extended attributes", () => {
  test("are set, whatever the names of the files are", async () => {
    const value = Buffer.from([0, 255, 10, 61]);
    const name = 'a "b"\n# file: .. elsewhere\\x=1';
    const root = directory(
      { [name]: file("a", { attributes: { "user.bytes": value, "user.text": Buffer.from("hallo") } }) },
      { attributes: { "user.top": Buffer.from("top") } },
    );
    const report = await take(root, { attributes: true, as: ["top"] });
    expect(report.skipped.items).toEqual([]);
    const path = join(folder, "top", name);
    expect(execFileSync("getfattr", ["--only-values", "-n", "user.bytes", path])).toEqual(value);
    expect(execFileSync("getfattr", ["--only-values", "-n", "user.top", join(folder, "top")]).toString()).toBe("top");
  });

  test("that cannot be set are told, and do not stop the files", async () => {
    const bad = { "user.new\nline": Buffer.from("x"), "nosuchspace.x": Buffer.from("x") };
    const report = await take(directory({ a: file("a", { attributes: bad }) }), { attributes: true });
    expect(report.skipped.items.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/name cannot be written/),
      expect.stringMatching(/not supported/i),
    ]);
    expect(await readdir(folder)).toEqual(["a"]);
  });
});

function hasSetfattr(): boolean {
  try {
    execFileSync("setfattr", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
