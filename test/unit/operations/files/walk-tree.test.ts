import { describe, expect, test } from "vitest";
import { imageCorrupt } from "../../../../shared/images/image-errors.ts";
import { findFiles } from "../../../../shared/operations/files/find-files.ts";
import { listFiles } from "../../../../shared/operations/files/list-files.ts";
import { readFile } from "../../../../shared/operations/files/read-file.ts";
import { walkTree, type WalkOptions } from "../../../../shared/operations/files/walk-tree.ts";
import {
  directory,
  file,
  link,
  memoryFileSystem,
  special,
  type MemoryNode,
} from "../../../support/files/memory-file-system.ts";
import { collect } from "../../../support/vault/vault-fixture.ts";

const { signal } = new AbortController();

async function steps(root: MemoryNode, options: WalkOptions = {}): Promise<string[]> {
  const fs = memoryFileSystem(root);
  const told: string[] = [];
  for await (const step of walkTree(fs, { path: [], stat: await fs.stat(fs.root, signal) }, signal, options)) {
    told.push(`${step.kind} /${step.path.join("/")}${step.kind === "problem" ? ` ${step.error.message}` : ""}`);
  }
  return told;
}

describe("A walk", () => {
  test("tells a directory before and after what is in it", async () => {
    const root = directory({ b: directory({ x: file("") }), a: file("") });
    expect(await steps(root)).toEqual(["node /", "node /b", "node /b/x", "leave /b", "node /a", "leave /"]);
    expect(await steps(root, { sorted: true, levels: 0 })).toEqual(["node /", "node /a", "node /b", "leave /"]);
  });

  test("ends in a directory that holds itself, and says so", async () => {
    const root: MemoryNode = directory(() => [
      ["again", root],
      ["other", other],
    ]);
    const other: MemoryNode = directory(() => [["up", root]]);
    const told = await steps(root);
    expect(told.filter((line) => line.includes("more than one place"))).toHaveLength(2);
    expect(told.at(-1)).toBe("leave /");
  });

  test("enters a directory once, though a thousand names lead to it", async () => {
    let shared = directory({ x: file("") });
    for (let level = 0; level < 40; level++) {
      const below = shared;
      shared = directory({ one: below, two: below });
    }
    expect((await steps(shared)).length).toBeLessThan(500);
  });

  test("stops at its depth, with a word for it, and goes on beside", async () => {
    let deep = directory({});
    for (let level = 0; level < 5000; level++) {
      const below = deep;
      deep = directory(() => [["d", below]]);
    }
    const told = await steps(directory({ deep, after: file("") }));
    expect(told.filter((line) => line.startsWith("problem"))).toHaveLength(1);
    expect(told.find((line) => line.startsWith("problem"))).toMatch(/more than 4096 levels/);
    expect(told).toContain("node /after");
  });

  test("goes on beside what is damaged, and refuses names that no reader may give", async () => {
    const root = directory(() => [
      ["..", file("")],
      ["a/b", file("")],
      ["", file("")],
      ["nul\0", file("")],
      ["bad", file("", { statFailure: imageCorrupt("inode 7", "its checksum is wrong") })],
      ["torn", directory({ before: file("") }, { failure: { at: 0, error: imageCorrupt("block 9", "it is torn") } })],
      ["good", file("")],
    ]);
    const told = await steps(root, { sorted: true });
    expect(told.filter((line) => line.includes("a name that no file can have"))).toHaveLength(4);
    expect(told).toContain("problem /bad The disk image is damaged at the inode 7: its checksum is wrong.");
    expect(told).toContain("node /torn/before");
    expect(told).toContain("problem /torn The disk image is damaged at the block 9: it is torn.");
    expect(told).toContain("node /good");
  });

  test("ends by an error that is not the image's", async () => {
    await expect(steps(directory({ bad: file("", { statFailure: new TypeError("a defect") }) }))).rejects.toThrow(
      "a defect",
    );
  });

  test("streams a directory without an end", async () => {
    const one = file("");
    const root = directory(function* () {
      for (let count = 0; ; count++) yield [`f${count}`, one] as const;
    });
    // Links are counted while it is made, which would not end.
    const fs = { ...memoryFileSystem(directory({})), ...memoryFileSystem(root) };
    let seen = 0;
    for await (const step of walkTree(fs, { path: [], stat: await fs.stat(fs.root, signal) }, signal, {
      sorted: true,
    })) {
      if (step.kind === "node" && (seen += 1) > 250_000) break;
    }
    expect(seen).toBe(250_001);
  });
});

describe("Listing, finding and reading", () => {
  const fs = memoryFileSystem(
    directory({
      "z.txt": file("0123456789", { modifiedNs: 10n ** 18n }),
      a: directory({ "b.TXT": file("b"), deep: directory({ "c.txt": file("ccc", { modifiedNs: 2n * 10n ** 18n }) }) }),
      l: link("a/b.TXT"),
      dev: special("block-device"),
      holes: file("end", { sizeBytes: 200_000, data: [{ offset: 199_997, content: Buffer.from("end") }] }),
    }),
  );
  const rows = async (path: string, recursive = false): Promise<string[]> =>
    (await collect(listFiles(fs, path, { recursive }, signal))).map((one) =>
      one.kind === "row" ? `${one.row.permissions} ${one.row.path} ${one.row.target ?? ""}`.trimEnd() : "problem",
    );
  const found = async (pattern: string, more: object = {}): Promise<string[]> =>
    (await collect(findFiles(fs, { pattern, ignoreCase: false, ...more }, signal))).map((one) =>
      one.kind === "row" ? one.row.path : "problem",
    );
  const text = async (path: string, range: object = {}): Promise<string> =>
    Buffer.concat(await collect(readFile(fs, path, range, signal))).toString();

  test("shows a folder by name, and one file or a link's file by itself", async () => {
    expect(await rows("/")).toEqual([
      "drwxr-xr-x /a",
      "brw-r--r-- /dev",
      "-rw-r--r-- /holes",
      "lrwxrwxrwx /l a/b.TXT",
      "-rw-r--r-- /z.txt",
    ]);
    expect(await rows("/l")).toEqual(["-rw-r--r-- /a/b.TXT"]);
    expect(await rows("/a", true)).toEqual(["-rw-r--r-- /a/b.TXT", "drwxr-xr-x /a/deep", "-rw-r--r-- /a/deep/c.txt"]);
  });

  test("finds by name, path, kind, time and size", async () => {
    expect(await found("*.txt")).toEqual(["/z.txt", "/a/deep/c.txt"]);
    expect(await found("*.txt", { ignoreCase: true })).toEqual(["/z.txt", "/a/b.TXT", "/a/deep/c.txt"]);
    expect(await found("/a/*")).toEqual(["/a/b.TXT", "/a/deep"]);
    expect(await found("a/**", { kind: "file" })).toEqual(["/a/b.TXT", "/a/deep/c.txt"]);
    expect(await found("*", { newerThanNs: 18n * 10n ** 17n })).toEqual(["/a/deep/c.txt"]);
    expect(await found("*", { largerThanBytes: 10, kind: "file" })).toEqual(["/holes"]);
    await expect(found("[")).rejects.toThrow(/cannot be read/);
  });

  test("reads a file or a range of it, holes as zeros, and nothing else", async () => {
    expect(await text("/z.txt")).toBe("0123456789");
    expect(await text("/z.txt", { offset: 3, length: 4 })).toBe("3456");
    expect(await text("/z.txt", { offset: 8, length: 40 })).toBe("89");
    expect(await text("/z.txt", { offset: 80 })).toBe("");
    expect(await text("/holes")).toBe(`${"\0".repeat(199_997)}end`);
    await expect(text("/a")).rejects.toThrow(/is a directory, no file: list it/);
    await expect(text("/dev")).rejects.toThrow(/is a block-device, no file\./);
  });
});
