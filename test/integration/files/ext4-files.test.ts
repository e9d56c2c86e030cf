/** The file verbs as processes, over a vault that holds real disks: a GPT disk with ext4, changed by the kernel between three points. */
import { lstat, mkdir, open, readFile, readdir, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { folderFacts } from "../../support/files/folder-facts.ts";
import type { DiskPart, ImageVault } from "../../support/files/image-vault.ts";
import { makeGptDisk, putParts, startImageVault } from "../../support/files/image-vault.ts";
import { runTool } from "../../support/files/run-tool.ts";
import { makeImage, withMounted } from "../../support/images/mounted-image.ts";
import { FarsideError } from "../../../shared/core/errors.ts";
import { haveTools } from "../../support/tools.ts";
import { chunkOf } from "../../support/files/chunk-of.ts";
import { signal } from "../../support/vault/vault-fixture.ts";

const mebibyte = 1024 * 1024;
const long = "long ".repeat(50).trimEnd();

/** What `ls --json` and `find --json` say, as far as it is looked at. */
interface Row {
  readonly path: string;
  readonly kind: string;
  readonly mode: string;
  readonly target?: string;
}

interface Version {
  readonly result: string;
  readonly restorePointId: string;
  readonly error?: { readonly code: string };
}

describe.runIf(haveTools("root", "mkfs.ext4", "sgdisk", "tar", "unzip", "setfattr", "mknod"))("The file verbs", () => {
  let vault: ImageVault;
  let disk: string;
  let points: string[] = [];
  let facts: ReadonlyMap<string, string>;
  let last: ReadonlyMap<string, string>;

  const json = async <T>(...args: readonly string[]): Promise<T> => {
    const { exitCode, out, err } = await vault.run(...args, "--json");
    if (exitCode !== 0) throw new Error(`Exit code ${exitCode}: ${err}${out}`);
    return JSON.parse(out) as T;
  };

  beforeAll(async () => {
    vault = await startImageVault();
    const image = join(vault.folder, "ext4.img");
    const parts: readonly DiskPart[] = [{ image, sizeBytes: 64 * mebibyte, type: "8300" }];
    disk = join(vault.folder, "disk.img");
    await makeImage(image, 64 * mebibyte, "mkfs.ext4", ["-q", "-L", "files", "-N", "8192"]);
    facts = await withMounted(image, async (root) => {
      await fill(root);
      return folderFacts(root);
    });
    await makeGptDisk(disk, parts);
    points = [(await vault.backUp("web1", { os: disk })).pointId];
    await withMounted(image, (root) => writeFile(join(root, "etc/changed"), "second\n"));
    await putParts(disk, parts);
    points.push((await vault.backUp("web1", { os: disk })).pointId);
    last = await withMounted(image, async (root) => {
      await writeFile(join(root, "late"), "late\n");
      await runTool("rm", [join(root, "etc/removed")]);
      return folderFacts(root, { timeDigits: 9 });
    });
    await putParts(disk, parts);
    points.push((await vault.backUp("web1", { os: disk })).pointId);
  }, 120_000);
  afterAll(() => vault?.stop());

  test("list volumes with their file systems", async () => {
    expect(await json("volumes", "web1")).toEqual([
      {
        name: "os",
        kind: "disk",
        fileSystem: null,
        label: null,
        sizeBytes: 66 * mebibyte,
        disks: ["os"],
        dirty: null,
        note: expect.stringMatching(/GPT/) as string,
      },
      {
        name: "os/p1",
        kind: "partition",
        fileSystem: "ext4",
        label: "files",
        sizeBytes: 64 * mebibyte,
        disks: ["os"],
        dirty: false,
        note: expect.anything() as unknown,
      },
    ]);
    const { out, exitCode } = await vault.run("volumes", `web1@${points[0]}`);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^os\/p1 +partition +ext4 +files +64\.0 MiB +ok/m);
  });

  test("list a folder, a file, and everything", async () => {
    const rows = await json<Row[]>("ls", "-r", `web1@${points[0]}:os/p1`);
    const shown = rows.filter(({ path }) => !path.startsWith("/lost+found")).map(({ path }) => Buffer.from(path));
    expect(shown).toHaveLength([...facts.keys()].filter((path) => !path.startsWith("lost+found")).length);
    const etc = await json<Row[]>("ls", "web1:os/p1:/etc");
    expect(etc.map(({ path }) => path)).toEqual([
      "/etc/changed",
      "/etc/hosts",
      "/etc/link",
      "/etc/other",
      "/etc/outside",
    ]);
    expect(etc[2]).toMatchObject({ kind: "link", target: "hosts", mode: "0777" });
    const [one] = await json<Row[]>("ls", "web1:os/p1:/etc/link");
    expect(one).toMatchObject({
      path: "/etc/hosts",
      kind: "file",
      mode: "0640",
      sizeBytes: 10,
      uid: 33,
      gid: 44,
      links: 2,
    });
    expect(one).toMatchObject({ modifiedAt: "2020-02-02T02:02:02.123456789Z" });
    const people = await vault.run("ls", "web1:os/p1:/etc");
    expect(people.out).toMatch(/^-rw-r----- {3}2 {4}33 {4}44 +10 B 2020-02-02 \d\d:\d\d:\d\d hosts$/m);
    expect(people.out).toMatch(/ link -> hosts$/m);
  });

  test("write a file, a part of it, and as much as is read", async () => {
    expect((await vault.run("cat", "web1:os/p1:/etc/link")).out).toBe("127.0.0.1\n");
    expect((await vault.run("cat", "web1:os/p1:etc/hosts", "--offset", "4", "--length", "3")).out).toBe("0.0");
    const big = await vault.shell("farside cat web1:os/p1:/big | sha256sum");
    expect(facts.get("big")).toContain(big.out.toString().slice(0, 64));
    const head = await vault.shell("farside cat web1:os/p1:/big | head -c 10 | wc -c");
    expect(head).toMatchObject({ exitCode: 0, err: "" });
    expect(head.out.toString().trim()).toBe("10");
  });

  test("take everything out as it was: content, modes, owners, times, links, holes, attributes", async () => {
    const point = `web1@${points[0]}:os/p1:/`;
    const done = await vault.run("get", point, "all", "--owners", "--xattrs", "--preserve-special", "--json");
    expect(done.err).toMatch(/left out \/fifo: a fifo is never made/);
    expect(done.exitCode).toBe(0);
    const report = JSON.parse(done.out) as Record<string, unknown>;
    expect(report).toMatchObject({ problems: { items: [], untold: 0 }, renamed: { items: [] } });
    const out = join(vault.folder, "all");
    const taken = await folderFacts(out, { owners: true });
    expect([...taken.keys()].sort()).toEqual(
      [...facts.keys()].filter((path) => !/^(?:fifo|device)$/.test(path)).sort(),
    );
    for (const [path, line] of await folderFacts(out)) expect(`${path} ${line}`).toBe(`${path} ${facts.get(path)}`);
    expect(taken.get("etc/hosts")).toContain("33:44");
    expect((await lstat(join(out, "sparse"))).blocks * 512).toBeLessThan(mebibyte);
    expect((await lstat(join(out, "etc/hosts"))).ino).toBe((await lstat(join(out, "etc/other"))).ino);
    expect(
      await runTool("getfattr", ["--absolute-names", "--only-values", "-n", "user.note", join(out, "etc/hosts")]),
    ).toBe("h\xe9");
  });

  test("take one file out under its own or a given name, and replace nothing unasked", async () => {
    expect((await vault.run("get", "web1:os/p1:/etc/link")).exitCode).toBe(0);
    expect(await readFile(join(vault.folder, "link"), "utf8")).toBe("127.0.0.1\n");
    const again = await vault.run("get", "web1:os/p1:/etc/link");
    expect(again.exitCode).toBe(4);
    expect(again.err).toMatch(/^farside: [^\n]*link[^\n]* exists already[^\n]*\n$/);
    await writeFile(join(vault.folder, "link"), "mine");
    expect((await vault.run("get", "web1:os/p1:/etc/link", "--overwrite")).exitCode).toBe(0);
    expect(await readFile(join(vault.folder, "link"), "utf8")).toBe("127.0.0.1\n");
    expect((await vault.run("get", "web1:os/p1:/etc/hosts", "made/named")).exitCode).toBe(0);
    expect((await vault.run("get", "web1:os/p1:/etc", "made")).exitCode).toBe(0);
    expect((await vault.run("get", "web1:os/p1:/etc", "made/copy")).exitCode).toBe(0);
    expect((await readdir(join(vault.folder, "made"))).sort()).toEqual(["copy", "etc", "named"]);
    expect(await readlink(join(vault.folder, "made/etc/outside"))).toBe("../../../../../../etc/passwd");
  });

  test("send a folder as tar and as zip", async () => {
    const folder = join(vault.folder, "untarred");
    await mkdir(folder);
    const tar = await vault.shell(
      `farside get web1:os/p1:/ --tar --preserve-special | tar -x -p --same-owner -C ${folder}`,
    );
    expect(tar.exitCode).toBe(0);
    const plain = await folderFacts(folder, { timeDigits: 9 });
    expect([...plain].filter(([path, line]) => last.get(path) !== line)).toEqual([]);
    expect(plain.size).toBe(last.size - 2);

    const zip = await vault.shell(
      "farside get web1:os/p1:/etc --zip > etc.zip && unzip -tq etc.zip && unzip -p etc.zip etc/hosts",
    );
    expect(zip).toMatchObject({ exitCode: 0, err: expect.stringMatching(/^Wrote 3 files/) as string });
    expect(zip.out.toString()).toMatch(/No errors detected[^\n]*\n127\.0\.0\.1\n$/);
    expect(zip.err).toMatch(/^Wrote 3 files \(.*\), 1 folder, 2 links as zip\.\n$/);
  });

  test("find by name, path, kind, size and time", async () => {
    const find = async (...args: readonly string[]): Promise<string[]> =>
      (await json<Row[]>("find", "web1:os/p1", ...args)).map(({ path }) => path);
    expect(await find("host?")).toEqual(["/etc/hosts"]);
    expect(await find("HOSTS", "--ignore-case")).toEqual(["/etc/hosts"]);
    expect(await find("/etc/*", "--type", "l")).toHaveLength(2);
    expect((await find("*", "--larger", "1M", "--type", "f")).sort()).toEqual(["/big", "/sparse"]);
    expect(await find("changed", "--newer", "2021-01-01")).toEqual(["/etc/changed"]);
    expect(await find("nothing at all")).toEqual([]);
    expect((await vault.run("find", "web1:os/p1", "**/deep")).out).toBe(`/${long}/${long}/deep\n`);
  });

  test("tell in which restore points a file differs, without reading it", async () => {
    const results = async (path: string, ...args: readonly string[]): Promise<string[]> => {
      const rows = await json<Version[]>("versions", `web1:os/p1:${path}`, ...args);
      expect(rows.map(({ restorePointId }) => restorePointId)).toEqual(points);
      return rows.map(({ result }) => result);
    };
    expect(await results("/etc/changed")).toEqual(["first", "changed", "same"]);
    expect(await results("/big")).toEqual(["first", "same", "same"]);
    expect(await results("/big", "--read-data")).toEqual(["first", "same", "same"]);
    expect(await results("/etc/removed")).toEqual(["first", "same", "absent"]);
    expect(await results("/late")).toEqual(["absent", "absent", "first"]);
    // Its bytes lie beside those of the changed file in one chunk.
    const beside = await results("/etc/hosts");
    expect(beside[0]).toBe("first");
    expect(["same", "maybe"]).toContain(beside[1]);
    expect(await results("/etc/hosts", "--read-data")).toEqual(["first", "same", "same"]);
    const people = await vault.run("versions", "web1:os/p1:/etc/changed");
    expect(people.out).toMatch(/ changed +7 B /);
  });

  const refusals: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ["a VM that is not there", ["ls", "web2:os/p1"], 3, /"web2"/],
    ["a point that is not there", ["ls", "web1@01M7YHYXK06QW0SEJP83TBN2RS:os/p1"], 3, /does not exist/],
    ["a volume that is not there", ["ls", "web1:os/p2"], 3, /no volume "os\/p2".*os, os\/p1/],
    ["a disk that holds partitions", ["ls", "web1:os"], 1, /holds partitions/],
    ["a path that is not there", ["cat", "web1:os/p1:/none"], 3, /has no "none"/],
    ["a folder as a file", ["cat", "web1:os/p1:/etc"], 2, /is a directory, no file/],
    ["a file as JSON", ["cat", "web1:os/p1:/big", "--json"], 2, /leave --json out/],
    ["no path at all", ["cat", "web1:os/p1"], 2, /names no file/],
    ["no volume at all", ["ls", "web1"], 2, /names no volume/],
    ["a fifo", ["get", "web1:os/p1:/fifo"], 2, /is a fifo/],
    ["versions of one point", ["versions", "web1@01M7YHYXK06QW0SEJP83TBN2RS:os/p1:/big"], 2, /leave it out/],
    ["versions of what never was", ["versions", "web1:os/p1:/none"], 3, /No restore point has/],
    ["a tar with a destination", ["get", "web1:os/p1:/etc", "x", "--tar"], 2, /leave the destination out/],
    ["a tar and a zip", ["get", "web1:os/p1:/etc", "--zip", "--tar"], 2, /cannot be used with/],
    ["a tar as JSON", ["get", "web1:os/p1:/etc", "--json", "--tar"], 2, /cannot be used with|leave --json out/],
    ["a pattern that cannot be read", ["find", "web1:os/p1", "["], 2, /cannot be read/],
    ["a volume into what is not empty", ["get", "web1:os/p1:/", "."], 4, /is not empty/],
  ];
  test.each(refusals)("refuse %s", async (_what, args, exitCode, message) => {
    const refused = await vault.run(...args);
    expect(refused.err).toMatch(message);
    expect(refused.err.split("\n")).toHaveLength(2);
    expect(refused.exitCode).toBe(exitCode);
  });

  test("leave a whole document where they are interrupted in the middle, and the error on standard error", async () => {
    const interrupted = new AbortController();
    let written = "";
    const shell = {
      signal: interrupted.signal,
      out: (text: string) => (written += text),
      write: async (bytes: Uint8Array) => {
        written += Buffer.from(bytes).toString();
        interrupted.abort(new FarsideError("interrupted", "Interrupted."));
        interrupted.signal.throwIfAborted();
      },
    };
    const { exitCode, err } = await vault.runIn(shell, "ls", "-r", "web1:os/p1", "--json");
    expect({ exitCode, err }).toEqual({ exitCode: 130, err: "farside: Interrupted.\n" });
    const rows: unknown = JSON.parse(written);
    expect(Array.isArray(rows) && rows.length > 100).toBe(true);
    // Now before the first row: the error is the document.
    written = "";
    expect((await vault.runIn(shell, "find", "web1:os/p1", "*", "--json")).exitCode).toBe(130);
    expect(JSON.parse(written)).toMatchObject({ error: { code: "interrupted" } });
  });

  test("say that their output cannot be written", async () => {
    for (const line of ["get web1:os/p1:/ --tar", "volumes web1 --json"]) {
      const { exitCode, err } = await vault.shell(`farside ${line} > /dev/full`);
      expect({ line, exitCode }).toEqual({ line, exitCode: 1 });
      expect(err).toMatch(/^farside: Standard output cannot be written.*ENOSPC/m);
    }
  });

  test("tell a lost chunk by exit code 5 and its files, and take the rest out", async () => {
    const lost = await chunkOf(vault, "web1", "os/p1", "/big");
    await vault.vault.store.remove(lost, {}, signal);
    expect((await vault.run("ls", "-r", "web1:os/p1")).exitCode).toBe(0);
    expect(await vault.run("cat", "web1:os/p1:/big")).toMatchObject({ exitCode: 5 });
    const got = await vault.run("get", "web1:os/p1:/", "damaged");
    expect(got.exitCode).toBe(5);
    expect(got.err).toMatch(/^farside: \/big: /m);
    expect(got.out).toMatch(/1 FAILED/);
    const there = await folderFacts(join(vault.folder, "damaged"));
    expect(there.has("big")).toBe(false);
    expect(there.size).toBe(last.size - 3);
    const tar = await vault.shell("farside get web1:os/p1:/ --tar | tar -t");
    expect(tar.exitCode).toBe(5);
    expect(tar.out.toString()).toMatch(/^big$/m);
    expect(tar.err).toMatch(/zeros stand for its bytes/);
  });
});

async function fill(root: string): Promise<void> {
  const at = (...names: string[]): string => join(root, ...names);
  await mkdir(at("etc"));
  await mkdir(at(long, long), { recursive: true });
  await mkdir(at("ünïcode 名"));
  await mkdir(at("many"));
  for (let count = 0; count < 400; count++) await writeFile(at("many", `file-${count}`), "");
  await writeFile(at("etc/hosts"), "127.0.0.1\n", { mode: 0o640 });
  await writeFile(at("etc/changed"), "first\n");
  await writeFile(at("etc/removed"), "removed\n");
  await writeFile(at(long, long, "deep"), "deep\n");
  await writeFile(at("ünïcode 名", "ナ\nme"), "name\n");
  await writeFile(Buffer.from(`${root}/bytes \xff\xfe`, "latin1"), "bytes\n");
  await writeFile(at("su"), "su\n", { mode: 0o755 });
  await writeFile(at("empty"), "");
  const big = Buffer.alloc(5 * mebibyte + 123);
  for (let offset = 0; offset < big.length; offset += 4)
    big.writeUInt32LE((offset * 2654435761) >>> 0, offset > big.length - 4 ? big.length - 4 : offset);
  await writeFile(at("big"), big);
  const sparse = await open(at("sparse"), "w");
  await sparse.write("end", 30 * mebibyte);
  await sparse.close();
  await runTool("sh", [
    "-ec",
    `cd "$1"
    chown 33:44 etc/hosts; ln etc/hosts etc/other; ln -s hosts etc/link; ln -s ../../../../../../etc/passwd etc/outside
    chmod 4755 su; mkfifo fifo; mknod device b 8 0
    setfattr -n user.note -v 0x68e9 etc/hosts
    find . -mindepth 1 -exec touch -h -d @1580608922.123456500 {} +
    touch -d '2020-02-02T02:02:02.123456789Z' etc/hosts; touch -h -d '1969-12-31T00:00:00Z' etc/link
    chmod 700 etc; touch -d '2001-01-01T00:00:00Z' etc big`,
    "sh",
    root,
  ]);
}
