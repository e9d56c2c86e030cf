/** What people put over an export: nbdkit's filters, a mount through FUSE and a loop device, a machine that boots from it. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { nbdUri } from "../../../shared/core/nbd/nbd-uri.ts";
import { sliceDevice } from "../../../shared/images/mapped-device.ts";
import type { FileDevice } from "../../support/images/file-device.ts";
import { bootableDisk, bootMarker } from "../../support/nbd/bootable-disk.ts";
import { makePartitionedDisk, partitionBytes, partitionStart } from "../../support/nbd/partitioned-disk.ts";
import { openSparseDevice } from "../../support/nbd/sparse-device.ts";
import { startTestServer, type TestServer } from "../../support/nbd/test-server.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const mib = 1024 * 1024;

let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-nbd-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill();
    await once(child, "exit");
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs until the test's end; ready once `path` is there. */
async function begin(path: string, program: string, ...args: readonly string[]): Promise<void> {
  const child = spawn(tool(program), args, { stdio: ["ignore", "ignore", "inherit"] });
  children.push(child);
  await expect.poll(() => existsSync(path), { timeout: 20_000 }).toBe(true);
}

describe.runIf(
  haveTools("nbdkit", "nbdcopy", "nbdfuse", "fusermount3", "qemu-io", "qemu-img", "sfdisk", "mkfs.ext4", "root"),
)("A disk with a partition", () => {
  let image: string;
  let device: FileDevice;
  let server: TestServer;
  const files = new Map(["one", "two", "three"].map((name, n) => [name, randomBytes(n * mib + 17)]));
  const uri = (name: string): string => nbdUri(server.address, false, name);

  beforeAll(async () => {
    image = join(folder, "disk.raw");
    await makePartitionedDisk(image, async (mounted) => {
      await mkdir(join(mounted, "a folder"));
      for (const [name, content] of files) await writeFile(join(mounted, "a folder", name), content);
    });
    device = await openSparseDevice(image);
    const partition = sliceDevice("partition", device, partitionStart, partitionBytes);
    server = await startTestServer({
      exports: [
        { name: "os", description: "", device },
        { name: "os/p1", description: "", device: partition },
      ],
    });
  });
  afterAll(async () => {
    await server?.stop();
    await device?.close();
  });

  test("is cut by nbdkit's partition filter just where our own export of the partition is", async () => {
    const socket = join(folder, "partition.sock");
    await begin(socket, "nbdkit", "-f", "-U", socket, "--filter=partition", "nbd", `uri=${uri("os")}`, "partition=1");
    const [cut, own] = [join(folder, "cut.raw"), join(folder, "own.raw")];
    await run(tool("nbdcopy"), [`nbd+unix:///?socket=${socket}`, cut]);
    await run(tool("nbdcopy"), [uri("os/p1"), own]);
    const expected = (await readFile(image)).subarray(partitionStart, partitionStart + partitionBytes);
    expect((await readFile(cut)).equals(expected)).toBe(true);
    expect((await readFile(own)).equals(expected)).toBe(true);
  });

  test("takes writes over nbdkit's cow filter, which never reach it", async () => {
    const socket = join(folder, "cow.sock");
    await begin(socket, "nbdkit", "-f", "-U", socket, "--filter=cow", "nbd", `uri=${uri("os")}`);
    const over = `nbd+unix:///?socket=${socket}`;
    await run(tool("qemu-io"), ["-f", "raw", "-c", "write -P 0x5a 3M 64k", "-c", "read -P 0x5a 3M 64k", over]);
    const compare = (one: string): Promise<unknown> =>
      run(tool("qemu-img"), ["compare", "-f", "raw", "-F", "raw", one, image]);
    await expect(compare(over)).rejects.toMatchObject({ code: 1 });
    await compare(uri("os"));
  });

  test("is mounted through FUSE and a loop device, with every file in it", async () => {
    const [fuse, mounted] = [join(folder, "fuse"), join(folder, "mounted")];
    await mkdir(fuse);
    await mkdir(mounted);
    await begin(join(fuse, "image"), "nbdfuse", join(fuse, "image"), uri("os/p1"));
    try {
      await run(tool("mount"), ["-o", "ro,loop", join(fuse, "image"), mounted]);
      try {
        for (const [name, content] of files) {
          expect((await readFile(join(mounted, "a folder", name))).equals(content)).toBe(true);
        }
      } finally {
        await run(tool("umount"), [mounted]);
      }
    } finally {
      await run(tool("fusermount3"), ["-u", fuse]);
    }
  });
});

// Not among the tools that CI must have: it is large.
describe.runIf(tool("qemu-system-x86_64") !== "qemu-system-x86_64")("A machine", () => {
  test("boots from the export: its BIOS loads the first sector, and that loads another from far behind", async () => {
    const path = join(folder, "bootable.raw");
    await bootableDisk(path);
    await expect(serialOutput(path, bootMarker)).resolves.toContain(bootMarker);
  });

  // Takes a minute, root, and a kernel from Debian's archive.
  test.runIf(process.env["FARSIDE_TEST_BOOT"] === "1")(
    "boots Linux from the export, which reads its root",
    async () => {
      const [path, letter] = [join(folder, "linux.raw"), join(folder, "letter")];
      const content = randomBytes(20 * mib);
      await writeFile(letter, content);
      const script = fileURLToPath(new URL("../../support/nbd/make-linux-disk.sh", import.meta.url));
      await run("bash", [script, path, letter]);
      const checksum = createHash("sha256").update(content).digest("hex");
      await expect(serialOutput(path, "Power down")).resolves.toContain(`LETTER ${checksum}`);
    },
  );
});

/** Boots a machine from an export of the image, and gives what it wrote to its serial port up to `last`. */
async function serialOutput(image: string, last: string): Promise<string> {
  const device = await openSparseDevice(image);
  const server = await startTestServer({ exports: [{ name: "os", description: "", device }] });
  try {
    const drive = `file=${nbdUri(server.address, false, "os")},format=raw,if=virtio`;
    // TCG: KVM, where its device is there at all, may still not work.
    const args = ["-accel", "tcg", "-m", "512", "-snapshot", "-drive", drive, "-display", "none", "-serial", "stdio"];
    const machine = spawn(tool("qemu-system-x86_64"), [...args, "-monitor", "none", "-net", "none", "-no-reboot"]);
    children.push(machine);
    let printed = "";
    for (const stream of [machine.stdout, machine.stderr]) {
      stream.on("data", (bytes: Buffer) => {
        printed += bytes.toString("latin1");
      });
    }
    await expect.poll(() => printed, { timeout: 180_000 }).toContain(last);
    machine.kill("SIGKILL");
    return printed;
  } finally {
    await server.stop();
    await device.close();
  }
}
