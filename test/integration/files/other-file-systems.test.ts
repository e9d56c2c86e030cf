/** The file verbs over disks as VMs have them: several partitions and disks, XFS, NTFS and FAT, some that nobody can read. */
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chunkOf } from "../../support/files/chunk-of.ts";
import { folderFacts } from "../../support/files/folder-facts.ts";
import type { DiskPart, ImageVault } from "../../support/files/image-vault.ts";
import { makeGptDisk, startImageVault } from "../../support/files/image-vault.ts";
import { runTool } from "../../support/files/run-tool.ts";
import { makeImage, withCrash, withMounted } from "../../support/images/mounted-image.ts";
import { attributeAt, patchRecord } from "../../support/images/ntfs-image.ts";
import { haveTools } from "../../support/tools.ts";
import { signal } from "../../support/vault/vault-fixture.ts";
import { parsed } from "../../support/stack-shell.ts";

const mebibyte = 1024 * 1024;
const tools = ["mkfs.xfs", "mkfs.ntfs", "ntfs-3g", "mkfs.fat", "mcopy", "mkswap", "sgdisk", "tar"] as const;

interface Volume {
  readonly name: string;
  readonly fileSystem: string | null;
  readonly label: string | null;
  readonly dirty: boolean | null;
  readonly note: string | null;
}

describe.runIf(haveTools("root", ...tools))("Disks with several volumes", () => {
  let vault: ImageVault;
  let xfs: ReadonlyMap<string, string>;
  let ntfs: ReadonlyMap<string, string>;
  let fat: ReadonlyMap<string, string>;

  beforeAll(async () => {
    vault = await startImageVault();
    const at = (name: string): string => join(vault.folder, name);
    const source = at("source");
    await mkdir(source);
    await fill(source);

    await makeImage(at("fat.img"), 16 * mebibyte, "mkfs.fat", ["-n", "EFI"]);
    await runTool("mcopy", ["-i", at("fat.img"), "-s", "-m", join(source, "docs"), "::"]);
    fat = await folderFacts(join(source, "docs"), { modes: false, timeDigits: 0 });

    await makeImage(at("ntfs.img"), 24 * mebibyte, "mkfs.ntfs", ["-F", "-f", "-q", "-L", "Windows"]);
    ntfs = await withMounted(at("ntfs.img"), async (root) => {
      await runTool("cp", ["-r", "--preserve=timestamps", join(source, "docs"), root]);
      return folderFacts(join(root, "docs"), { modes: false });
    });
    await patchRecord(at("ntfs.img"), 3, (record) => {
      const volume = attributeAt(record, 0x70);
      // The dirty flag of $VOLUME_INFORMATION, behind its header of 24 bytes.
      const flags = volume + record.readUInt16LE(volume + 20) + 10;
      record.writeUInt16LE(record.readUInt16LE(flags) | 1, flags);
    });

    await makeImage(at("xfs.img"), 40 * mebibyte, "mkfs.xfs", ["--unsupported", "-q", "-L", "data"]);
    xfs = await withCrash(at("xfs.img"), at("crashed.img"), async (root) => {
      await runTool("cp", ["-a", `${source}/.`, root]);
      await runTool("sync", ["-f", root]);
      return folderFacts(root);
    });
    await makeImage(at("swap.img"), 2 * mebibyte, "mkswap");
    await makeImage(at("zeros.img"), mebibyte, "true");
    await makeGptDisk(at("os.disk"), [
      { image: at("fat.img"), sizeBytes: 16 * mebibyte, type: "EF00" },
      { image: at("ntfs.img"), sizeBytes: 24 * mebibyte, type: "0700" },
    ]);
    const parts: readonly DiskPart[] = [
      { image: at("crashed.img"), sizeBytes: 40 * mebibyte, type: "8300" },
      { image: at("swap.img"), sizeBytes: 2 * mebibyte, type: "8200" },
      { image: at("zeros.img"), sizeBytes: mebibyte, type: "8300" },
    ];
    await makeGptDisk(at("data.disk"), parts);
    await vault.backUp("web1", { os: at("os.disk"), data: at("data.disk") });
  }, 120_000);
  afterAll(() => vault?.stop());

  test("are listed with what each holds, what was replayed, and what is dirty", async () => {
    const volumes = parsed<Volume[]>(await vault.run("volumes", "web1", "--json"));
    const shown = volumes.map(({ name, fileSystem, label, dirty }) => [name, fileSystem, label, dirty]);
    expect(shown).toEqual([
      ["os", null, null, null],
      ["os/p1", "vfat", "EFI", false],
      ["os/p2", "ntfs", "Windows", true],
      ["data", null, null, null],
      ["data/p1", "xfs", "data", false],
      ["data/p2", "swap", null, null],
      ["data/p3", null, null, null],
    ]);
    const noteOf = (name: string): string => volumes.find((volume) => volume.name === name)?.note ?? "";
    expect(noteOf("data/p1")).toMatch(/replayed/);
    expect(noteOf("os/p2")).toMatch(/dirty: /);
    expect(noteOf("data/p2")).not.toBe("");
    const people = await vault.run("volumes", "web1");
    expect(people.out).toMatch(/^os\/p2 +partition +ntfs +Windows +24\.0 MiB +DIRTY /m);
  });

  test("of XFS, crashed, give every file as it was", async () => {
    const got = await vault.run("get", "web1:data/p1:/", "xfs");
    expect(got).toMatchObject({ exitCode: 0, err: "" });
    const taken = await folderFacts(join(vault.folder, "xfs"));
    expect(Object.fromEntries(taken)).toEqual(Object.fromEntries(xfs));
    expect((await vault.run("find", "web1:data/p1", "*.txt", "--larger", "1M")).out).toBe("/docs/big.txt\n");
  });

  test("of NTFS and FAT give every file, whatever the case of its path, and say what may be torn", async () => {
    const fromNtfs = await vault.run("get", "web1:os/p2:/DOCS", "ntfs");
    expect(fromNtfs.exitCode).toBe(0);
    expect(fromNtfs.err).toMatch(/^farside: the volume os\/p2 was in use, and what is shown may be old or torn: /);
    const taken = await folderFacts(join(vault.folder, "ntfs"), { modes: false });
    expect(Object.fromEntries(taken)).toEqual(Object.fromEntries(ntfs));

    const fromFat = await vault.run("get", "web1:os/p1:docs", "fat");
    expect(fromFat).toMatchObject({ exitCode: 0, err: "" });
    const copied = await folderFacts(join(vault.folder, "fat"), { modes: false, timeDigits: 0 });
    // FAT keeps times in steps of two seconds, and directories' of mcopy not at all.
    const untimed = (facts: ReadonlyMap<string, string>): object =>
      Object.fromEntries([...facts].map(([path, line]) => [path, line.replace(/ \d+\. /, " ")]));
    expect(untimed(copied)).toEqual(untimed(fat));
    const tar = await vault.shell("farside get web1:os/p1:/docs --tar --quiet | tar -xO docs/notes/ü.txt");
    expect(tar).toMatchObject({ exitCode: 0, err: "" });
    expect(tar.out.toString()).toBe("umlaut\n");
  });

  test("of which one is damaged in the vault still give the others", async () => {
    const lost = await chunkOf(vault, "web1", "data/p1", "/docs/big.txt");
    await vault.vault.store.remove(lost, {}, signal);
    expect((await vault.run("cat", "web1:data/p1:/docs/big.txt")).exitCode).toBe(5);
    expect(await vault.run("cat", "web1:os/p1:/docs/notes/ü.txt")).toMatchObject({ exitCode: 0, out: "umlaut\n" });
    const versions = await vault.run("versions", "web1:data/p1:/docs/big.txt");
    expect(versions).toMatchObject({ exitCode: 0 });
  });

  test("that hold no file system say what they hold", async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ["data/p2", /swap/],
      ["data/p3", /zeros/],
      ["data", /partitions \(gpt\)/],
    ];
    for (const [volume, message] of cases) {
      const refused = await vault.run("ls", `web1:${volume}`);
      expect(refused.err).toMatch(message);
      expect(refused.exitCode).toBe(1);
    }
  });
});

/** Names and contents that all of the file systems can hold. */
async function fill(folder: string): Promise<void> {
  const at = (...names: string[]): string => join(folder, ...names);
  await mkdir(at("docs", "notes", "empty folder"), { recursive: true });
  await writeFile(at("docs/notes/ü.txt"), "umlaut\n");
  await writeFile(at("docs/notes/名前 long enough to need several entries.txt"), "name\n");
  await writeFile(at("docs/nothing"), "");
  await mkdir(at("docs/many"));
  for (let count = 0; count < 200; count++) await writeFile(at(`docs/many/file ${count}`), `content of ${count}\n`);
  const big = Buffer.alloc(2 * mebibyte + 77);
  for (let offset = 0; offset + 4 <= big.length; offset += 4) big.writeUInt32LE((offset * 2654435761) >>> 0, offset);
  await writeFile(at("docs/big.txt"), big);
  await truncate(at("docs/nothing"), 0);
  await runTool("sh", ["-ec", 'find "$1" -exec touch -d @1580608922.1234565 {} +', "sh", folder]);
}
