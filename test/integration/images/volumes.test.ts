/** Volumes against the tools that make and judge them: sgdisk, sfdisk, losetup, LVM2, mdadm, blkid. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assembleVolumes } from "../../../shared/images/volumes/assemble-volumes.ts";
import type { Volume } from "../../../shared/images/volumes/volume.ts";
import { memoryDevice } from "../../../shared/images/overlay-device.ts";
import type { FileDevice } from "../../support/images/file-device.ts";
import { openFileDevice } from "../../support/images/file-device.ts";
import { lvm, withLoops } from "../../support/images/lvm-tools.ts";
import type { MdFixture } from "../../support/images/md-fixture.ts";
import { mdDataPlace, writeMdSuperblock } from "../../support/images/md-fixture.ts";
import { makeImage } from "../../support/images/mounted-image.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
const mib = 1024 * 1024;

let folder = "";
const opened: FileDevice[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-volumes-"));
});

afterEach(async () => {
  for (const device of opened.splice(0)) await device.close();
  await rm(folder, { recursive: true });
});

async function sparse(name: string, sizeBytes: number): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, "");
  await truncate(path, sizeBytes);
  return path;
}

async function volumesOf(paths: readonly string[], sectorBytes = 512): Promise<readonly Volume[]> {
  const disks = await Promise.all(paths.map(openFileDevice));
  opened.push(...disks);
  return assembleVolumes(
    disks.map((device, at) => ({ name: `disk${at}`, device, sectorBytes })),
    signal,
  );
}

function named(volumes: readonly Volume[], name: string): Volume {
  const found = volumes.find((volume) => volume.name === name);
  if (found === undefined) throw new Error(`There is no ${name}, but ${volumes.map((one) => one.name).join(", ")}.`);
  return found;
}

async function readAll({ device }: Volume): Promise<Buffer> {
  if (device === undefined) throw new Error("It has no device.");
  const parts: Uint8Array[] = [];
  for (let at = 0; at < device.sizeBytes; at += mib) {
    parts.push(await device.read(at, Math.min(mib, device.sizeBytes - at), signal));
  }
  return Buffer.concat(parts);
}

async function sfdisk(path: string, script: string): Promise<void> {
  const child = spawn(tool("sfdisk"), ["--quiet", path], { stdio: ["pipe", "ignore", "pipe"] });
  child.stdin.end(script);
  const errors: Buffer[] = [];
  child.stderr.on("data", (part: Buffer) => errors.push(part));
  await once(child, "close");
  // On a loop device it cannot make the kernel look again, and says so; what it wrote is compared below.
  if (child.exitCode !== 0 && !path.startsWith("/dev/")) throw new Error(Buffer.concat(errors).toString());
}

/** Slots with their first byte and length, as sfdisk prints them. */
async function judge(path: string): Promise<Record<string, readonly [number, number]>> {
  const { stdout } = await run(tool("sfdisk"), ["--json", path]);
  const { partitiontable: table } = JSON.parse(stdout) as {
    partitiontable: { sectorsize: number; partitions: { node: string; start: number; size: number }[] };
  };
  const prefix = path.startsWith("/dev/") ? `${path}p` : path;
  return Object.fromEntries(
    table.partitions.map(({ node, start, size }) => [
      `disk0/p${node.slice(prefix.length)}`,
      [start * table.sectorsize, size * table.sectorsize] as const,
    ]),
  );
}

function sizesOf(volumes: readonly Volume[]): Record<string, number> {
  const partitions = volumes.filter((volume) => volume.kind === "partition");
  return Object.fromEntries(partitions.map((volume) => [volume.name, volume.sizeBytes]));
}

/** Writes each partition's name at its first byte by the judge's word, and finds it there. */
async function expectPlaces(
  path: string,
  judged: Record<string, readonly [number, number]>,
  sectorBytes = 512,
): Promise<void> {
  const file = await open(path, "r+");
  const data = Object.entries(judged).filter(([, [, length]]) => length > 2 * 512);
  for (const [name, [start]] of data) await file.write(name, start + 1000);
  await file.close();
  const volumes = await volumesOf([path], sectorBytes);
  expect(sizesOf(volumes)).toEqual(
    Object.fromEntries(Object.entries(judged).map(([name, [, length]]) => [name, length])),
  );
  for (const [name] of data) {
    const found = await named(volumes, name).device?.read(1000, name.length, signal);
    expect(Buffer.from(found ?? []).toString()).toBe(name);
  }
}

describe.runIf(haveTools("sgdisk", "sfdisk"))("Partitions, by sfdisk's word,", () => {
  test("are found with their slots in a GPT laid out as Azure's images", async () => {
    const path = await sparse("gpt.img", 64 * mib);
    const parts = [
      "-n",
      "14:2048:+1M",
      "-t",
      "14:ef02",
      "-n",
      "15:0:+10M",
      "-t",
      "15:ef00",
      "-n",
      "1:0:0",
      "-t",
      "1:8300",
    ];
    await run(tool("sgdisk"), [...parts, "-c", "15:UEFI", path]);
    await expectPlaces(path, await judge(path));
    const volumes = await volumesOf([path]);
    expect(named(volumes, "disk0/p15").note).toBe('EFI system, "UEFI"');
  });

  test("are found in an MBR with logical ones, some of them removed", async () => {
    const path = await sparse("mbr.img", 64 * mib);
    const script = [
      "label: dos",
      "1: start=2048,size=20480,type=83",
      "3: start=22528,size=81920,type=f",
      "4: start=104448,type=7",
      "5: size=8192",
      "6: size=8192,type=82",
      "7: size=8192",
    ];
    await sfdisk(path, `${script.join("\n")}\n`);
    await expectPlaces(path, await judge(path));
    await run(tool("sfdisk"), ["--quiet", "--delete", path, "6"]);
    const judged = await judge(path);
    expect(Object.keys(judged).length).toBe(5);
    await expectPlaces(path, judged);
  });

  test("are found after the beginning of the disk was overwritten, by the backup", async () => {
    const path = await sparse("gpt.img", 64 * mib);
    await run(tool("sgdisk"), ["-n", "3:0:+10M", "-n", "7:0:0", path]);
    const judged = await judge(path);
    const file = await open(path, "r+");
    await file.write(Buffer.alloc(512), 0, 512, 1024);
    await file.close();
    const volumes = await volumesOf([path]);
    expect(Object.keys(sizesOf(volumes))).toEqual(Object.keys(judged));
    expect(named(volumes, "disk0").note).toContain("backup");
  });
});

describe.runIf(haveTools("sfdisk", "losetup", "root"))("Partitions of a disk with sectors of 4 KiB", () => {
  test.for(["gpt", "dos"])("are found in a table of the kind %s", async (label) => {
    const path = await sparse("disk.img", 64 * mib);
    const judged = await withLoops(
      [path],
      async ([device = ""]) => {
        await sfdisk(device, `label: ${label}\n1: size=10M\n4: size=20M\n`);
        return judge(device);
      },
      ["--sector-size", "4096"],
    );
    expect(Object.keys(judged)).toEqual(["disk0/p1", "disk0/p4"]);
    await expectPlaces(path, judged, 4096);
  });
});

describe.runIf(haveTools("mkfs.ext4", "mkfs.xfs", "mkfs.ntfs", "mkfs.fat", "mkfs.btrfs", "cryptsetup", "blkid"))(
  "Contents",
  () => {
    const makers: readonly (readonly [string, number, readonly string[]])[] = [
      ["mkfs.ext2", 8, ["-q"]],
      ["mkfs.ext3", 8, ["-q"]],
      ["mkfs.ext4", 8, ["-q"]],
      ["mkfs.ext4", 8, ["-q", "-O", "^has_journal"]],
      ["mkfs.xfs", 300, ["-q"]],
      ["mkfs.ntfs", 8, ["-q", "-F"]],
      ["mkfs.fat", 8, ["-F", "12"]],
      ["mkfs.fat", 64, ["-F", "32"]],
      ["mkfs.btrfs", 128, ["-q"]],
      ["mkswap", 8, ["-q"]],
    ];

    test("are named as blkid names them, and nothing is taken for a partition table", async () => {
      for (const [maker, sizeMib, args] of makers) {
        const path = join(folder, "image");
        await makeImage(path, sizeMib * mib, maker, args);
        const { stdout } = await run(tool("blkid"), ["-p", "-o", "value", "-s", "TYPE", path]);
        const [volume, ...more] = await volumesOf([path]);
        const { content } = volume ?? {};
        expect(more).toEqual([]);
        expect(content !== undefined && "type" in content ? content.type : content?.kind).toBe(stdout.trim());
        await rm(path);
      }
    });

    test("that are encrypted are named, with the version", async () => {
      for (const version of ["1", "2"]) {
        const path = await sparse(`luks${version}`, 20 * mib);
        const key = join(folder, "key");
        await writeFile(key, "secret");
        const quick = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--batch-mode"];
        await run(tool("cryptsetup"), ["luksFormat", "--type", `luks${version}`, ...quick, path, key]);
        expect(named(await volumesOf([path]), "disk0")).toMatchObject({
          content: { kind: "foreign", type: "crypto_LUKS" },
          note: `encrypted with LUKS${version}`,
        });
      }
    });
  },
);

interface Segment {
  readonly lv_name: string;
  readonly seg_pe_ranges: string;
  readonly stripe_size: string;
  readonly seg_start_pe: string;
  readonly seg_size_pe: string;
}

const extentBytes = 4 * mib;
const dataStart = mib;

/** For each volume the places of its stretches, by `lvs`: device number and byte, in order, each as long as a stripe. */
async function lvsStretches(
  devices: readonly string[],
): Promise<Map<string, { device: number; offset: number; length: number }[]>> {
  const columns = "lv_name,seg_pe_ranges,stripe_size,seg_start_pe,seg_size_pe";
  const args = ["lvs", "--segments", "-o", columns, "--sort", "lv_name,seg_start_pe", "--units", "b", "--nosuffix"];
  const report = JSON.parse(await lvm(folder, devices, [...args, "--reportformat", "json"])) as {
    report: { seg: Segment[] }[];
  };
  const stretches = new Map<string, { device: number; offset: number; length: number }[]>();
  for (const segment of report.report[0]?.seg ?? []) {
    const ranges = segment.seg_pe_ranges.split(" ").map((range) => {
      const [, device = "", first] = /^(.*):(\d+)-\d+$/.exec(range) ?? [];
      return { device: devices.indexOf(device), offset: dataStart + Number(first) * extentBytes };
    });
    const length = Number(segment.seg_size_pe) * extentBytes;
    const step = ranges.length === 1 ? length : Number(segment.stripe_size);
    const all = stretches.get(segment.lv_name) ?? [];
    for (let at = 0; at < length; at += step) {
      const range = ranges[(at / step) % ranges.length];
      if (range === undefined) continue;
      const { device, offset } = range;
      all.push({ device, offset: offset + Math.floor(at / step / ranges.length) * step, length: step });
    }
    stretches.set(segment.lv_name, all);
  }
  return stretches;
}

describe.runIf(haveTools("root", "lvm", "losetup", "mkfs.ext4"))("Logical volumes made by LVM2", () => {
  test("hold the bytes that lie where lvs says: linear, striped, resized, over two disks", async () => {
    const paths = [await sparse("one", 128 * mib), await sparse("two", 128 * mib)];
    const stretches = await withLoops(paths, async (devices) => {
      await lvm(folder, devices, ["pvcreate", "-q", ...devices]);
      await lvm(folder, devices, ["vgcreate", "-q", "vg0", ...devices]);
      const make = ["lvcreate", "-q", "-an", "-Zn", "-Wn"];
      await lvm(folder, devices, [...make, "-n", "small", "-l", "4", "vg0"]);
      await lvm(folder, devices, [...make, "-n", "striped", "-i", "2", "-I", "64", "-l", "10", "vg0"]);
      await lvm(folder, devices, [...make, "-n", "root", "-l", "16", "vg0"]);
      await lvm(folder, devices, ["lvextend", "-q", "-l", "+4", "vg0/striped"]);
      await lvm(folder, devices, ["lvextend", "-q", "-l", "+3", "vg0/small"]);
      await lvm(folder, devices, ["lvreduce", "-q", "-f", "-l", "-1", "vg0/small"]);
      return lvsStretches(devices);
    });
    expect([...stretches.keys()].toSorted()).toEqual(["root", "small", "striped"]);
    const files = await Promise.all(paths.map((path) => open(path, "r+")));
    const contents = new Map<string, Buffer>();
    for (const [name, places] of stretches) {
      const size = places.reduce((sum, { length }) => sum + length, 0);
      const image = join(folder, name);
      await makeImage(image, size, "mkfs.ext4", ["-q", "-L", name]);
      const content = await readFile(image);
      // Where the file system wrote nothing, each stretch says where it belongs.
      for (let at = 0; at < size; at += 4096) if (content.readUInt32LE(at) === 0) content.write(`${name} ${at}`, at);
      contents.set(name, content);
      let at = 0;
      for (const { device, offset, length } of places) {
        await files[device]?.write(content, at, length, offset);
        at += length;
      }
    }
    for (const file of files) await file.close();
    const volumes = await volumesOf(paths);
    for (const [name, content] of contents) {
      const volume = named(volumes, `lvm/vg0/${name}`);
      expect(volume).toMatchObject({ sizeBytes: content.length, content: { kind: "file-system", type: "ext4" } });
      expect((await readAll(volume)).equals(content)).toBe(true);
    }
    expect(named(volumes, "lvm/vg0/striped")).toMatchObject({
      disks: ["disk0", "disk1"],
      note: expect.stringContaining("striped over 2, 64 KiB"),
    });
    expect(named(volumes, "disk1").content).toEqual({ kind: "member", of: "lvm/vg0" });

    // Without its second disk, what lies on the first alone can still be read, and the rest says what is missing.
    const [path = ""] = paths;
    const alone = await volumesOf([path]);
    expect(named(alone, "lvm/vg0/striped")).toMatchObject({
      device: undefined,
      note: expect.stringMatching(/physical volume .* is missing/),
    });
    const whole = volumes.filter((volume) => volume.kind === "logical-volume" && volume.disks.join() === "disk0");
    expect(whole.length).toBeGreaterThan(0);
    for (const { name } of whole) expect(named(alone, name).device).toBeDefined();

    // A copy of a disk of the group leaves nobody to tell which one belongs to the other.
    const copied = await volumesOf([...paths, path]);
    expect(named(copied, "lvm/vg0/striped").note).toContain("disk0 and disk2 are both physical volume");
  });

  test("of a group on one disk are shown once for each copy of the disk", async () => {
    const path = await sparse("one", 128 * mib);
    await withLoops([path], async (devices) => {
      await lvm(folder, devices, ["vgcreate", "-q", "vg0", ...devices]);
      await lvm(folder, devices, ["lvcreate", "-q", "-an", "-Zn", "-Wn", "-n", "plain", "-l", "2", "vg0"]);
      await lvm(folder, devices, [
        "lvcreate",
        "-q",
        "-an",
        "-Zn",
        "-Wn",
        "--type",
        "zero",
        "-n",
        "none",
        "-l",
        "2",
        "vg0",
      ]);
    });
    const volumes = await volumesOf([path, path]);
    expect(volumes.map((volume) => volume.name)).toEqual([
      "disk0",
      "disk1",
      "lvm/vg0/plain",
      "lvm/vg0/none",
      "lvm/vg0/plain~2",
      "lvm/vg0/none~2",
    ]);
    expect(named(volumes, "lvm/vg0/plain~2").disks).toEqual(["disk1"]);
  });
});

const uuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

describe.runIf(haveTools("mdadm"))("The superblocks that tests write for arrays", () => {
  test.for([
    {
      version: "1.2",
      level: 0,
      chunkBytes: 64 * 1024,
      raid0Layout: 2,
      shown: /Raid Level : raid0[^]*Layout : alternate/,
    },
    { version: "1.0", level: 1, usedBytes: mib, shown: /Raid Level : raid1[^]*Used Dev Size : 2048/ },
    { version: "1.1", level: -1, shown: /Raid Level : linear/ },
    { version: "0.90", level: 1, usedBytes: mib, shown: /Raid Level : raid1[^]*Used Dev Size : 1024/ },
  ] as const)("are right by mdadm's word: version $version, level $level", async ({ shown, ...array }) => {
    const member = Buffer.alloc(4 * mib);
    writeMdSuperblock(member, { ...array, uuid, name: "web01:data", slots: 2, slot: 1, memberBytes: member.length });
    const path = join(folder, "member");
    await writeFile(path, member);
    const { stdout } = await run(tool("mdadm"), ["--examine", path]);
    expect(stdout).toMatch(/Checksum : [0-9a-f]+ - correct/);
    expect(stdout).toContain("0a1b2c3d:4e5f6071:8293a4b5:c6d7e8f9");
    expect(stdout).toMatch(shown);
  });
});

describe.runIf(haveTools("root", "lvm", "losetup", "sgdisk"))("Layers upon each other", () => {
  test("are found: a logical volume on a mirror on partitions of two disks", async () => {
    const inner = await sparse("inner", 64 * mib);
    await withLoops([inner], async (devices) => {
      await lvm(folder, devices, ["vgcreate", "-q", "data", ...devices]);
      await lvm(folder, devices, ["lvcreate", "-q", "-an", "-Zn", "-Wn", "-n", "home", "-l", "3", "data"]);
    });
    const content = await readFile(inner);
    const paths: string[] = [];
    for (const slot of [0, 1]) {
      const path = await sparse(`disk${slot}`, 80 * mib);
      await run(tool("sgdisk"), ["-n", "2:2048:+70M", "-t", "2:fd00", path]);
      const fixture: MdFixture = {
        version: "1.2",
        level: 1,
        uuid,
        slots: 2,
        slot,
        memberBytes: 70 * mib,
        usedBytes: content.length,
      };
      const member = Buffer.alloc(fixture.memberBytes);
      content.copy(member, mdDataPlace(fixture).offset);
      writeMdSuperblock(member, fixture);
      const file = await open(path, "r+");
      await file.write(member, 0, member.length, 2048 * 512);
      await file.close();
      paths.push(path);
    }
    const volumes = await volumesOf(paths);
    expect(volumes.map(({ name, content: held }) => `${name}: ${held.kind}`)).toEqual([
      "disk0: partition-table",
      "disk0/p2: member",
      "disk1: partition-table",
      "disk1/p2: member",
      "md/0a1b2c3d: member",
      "lvm/data/home: empty",
    ]);
    expect(named(volumes, "lvm/data/home")).toMatchObject({ sizeBytes: 12 * mib, disks: ["disk0", "disk1"] });
    // An array with a table of its own: the same disks' content, read as a disk.
    expect(
      (await assembleVolumes([{ name: "inner", device: memoryDevice(content) }], signal)).map(({ name }) => name),
    ).toEqual(["inner", "lvm/data/home"]);
  });
});
