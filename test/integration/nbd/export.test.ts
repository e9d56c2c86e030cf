/** `farside export` as a process of its own: what it serves is what was backed up, and the lines that it prints work. */
import { BlobServiceClient, type BlockBlobClient, type ContainerClient } from "@azure/storage-blob";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { makeCertificates } from "../../support/nbd/certificates.ts";
import { diskBytes, makePartitionedDisk, partitionBytes, partitionStart } from "../../support/nbd/partitioned-disk.ts";
import { parsed, startStackShell, type StackShell } from "../../support/stack-shell.ts";
import { haveTools, tool } from "../../support/tools.ts";

const run = promisify(execFile);
const main = fileURLToPath(new URL("../../../cli/main.ts", import.meta.url));
const mib = 1024 * 1024;

interface Told {
  readonly vm: string;
  readonly listen: string;
  readonly tls: boolean;
  readonly exports: readonly { name: string; kind: string; sizeBytes: number; holds: string; uri: string }[];
  readonly commands: readonly { title: string; lines: readonly string[] }[];
}

interface Exporting {
  readonly child: ChildProcess;
  readonly told: Told;
  /** Standard error until now. */
  readonly err: () => string;
  /** Its exit code after Ctrl-C. */
  readonly interrupt: () => Promise<number | null>;
}

describe.runIf(
  haveTools("nbdinfo", "nbdcopy", "nbdkit", "nbdfuse", "fusermount3", "sfdisk", "mkfs.ext4", "openssl", "root"),
)("farside export", () => {
  let shell: StackShell;
  let image: string;
  let letter: Buffer;
  const running: ChildProcess[] = [];

  beforeAll(async () => {
    shell = await startStackShell();
    letter = randomBytes(3 * mib);
    image = join(shell.folder, "os.raw");
    await makePartitionedDisk(image, (mounted) => writeFile(join(mounted, "letter"), letter));
    const disk = parsed<{ url: string }>(await shell.run(["disk", "import", image, "web1-os", "--json"]));
    const data = join(shell.folder, "data.raw");
    await writeFile(data, Buffer.alloc(mib + 512, "data of web1 "));
    const other = parsed<{ url: string }>(await shell.run(["disk", "import", data, "web1-data", "--json"]));
    parsed(await shell.run(["policy", "set", "daily", "--keep-last", "5", "--json"]));
    const disks = ["--disk", `os=${disk.url}`, `data=${other.url}`];
    parsed(await shell.run(["vm", "protect", "web1", "--policy", "daily", ...disks, "--json"]));
    parsed(await shell.run(["backup", "web1", "--wait", "--json"]));
  });
  afterEach(async () => {
    for (const child of running.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  });
  afterAll(() => shell?.stop());

  async function exporting(...args: readonly string[]): Promise<Exporting> {
    const child = spawn(process.execPath, [main, "export", ...args, "--json"], { cwd: shell.stack.dataFolder });
    running.push(child);
    let out = "";
    let err = "";
    child.stderr.on("data", (bytes: Buffer) => (err += bytes.toString()));
    const told = await new Promise<Told>((resolve, reject) => {
      child.stdout.on("data", (bytes: Buffer) => {
        out += bytes.toString();
        if (out.endsWith("\n}\n") && !out.includes('"error"')) resolve(JSON.parse(out) as Told);
      });
      child.once("exit", (code) => reject(new Error(`It ended with ${code}: ${err}${out}`)));
    });
    const interrupt = async (): Promise<number | null> => {
      child.kill("SIGINT");
      await once(child, "exit");
      return child.exitCode;
    };
    return { child, told, err: () => err, interrupt };
  }

  test("serves disks and volumes byte for byte, and leaves nothing behind", async () => {
    const { told, interrupt, err } = await exporting("web1@latest");
    expect(told).toMatchObject({ vm: "web1", tls: false });
    expect(told.exports).toMatchObject([
      { name: "os", kind: "disk", sizeBytes: diskBytes, holds: "gpt table" },
      { name: "os/p1", kind: "partition", sizeBytes: partitionBytes, holds: "ext4" },
      { name: "data", kind: "disk", sizeBytes: mib + 512 },
    ]);
    const socket = told.listen.replace(/^unix:/, "");
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(socket))).mode & 0o777).toBe(0o700);

    const original = await readFile(image);
    const copies = { os: original, "os/p1": original.subarray(partitionStart, partitionStart + partitionBytes) };
    for (const [name, expected] of Object.entries(copies)) {
      const uri = told.exports.find((one) => one.name === name)?.uri ?? "";
      const copy = join(shell.folder, "copy.raw");
      await run(tool("nbdcopy"), ["--connections=4", uri, copy]);
      expect((await readFile(copy)).equals(expected)).toBe(true);
      await rm(copy);
    }
    const map = await run(tool("nbdinfo"), ["--map", "--json", told.exports[0]?.uri ?? ""]);
    const extents = JSON.parse(map.stdout) as { type: number; length: number }[];
    expect(extents.reduce((sum, { length }) => sum + length, 0)).toBe(diskBytes);
    expect(extents.some(({ type }) => type === 3)).toBe(true);

    expect(await interrupt()).toBe(130);
    expect(err()).toBe("");
    expect(existsSync(dirname(socket))).toBe(false);
  });

  test("prints lines that work: the volume is mounted and written to, and the backup stays as it is", async () => {
    const { told, interrupt } = await exporting("web1");
    const folder = await mkdtemp(join(shell.folder, "lines-"));
    const bash = (line: string): Promise<unknown> => run("bash", ["-c", line.replaceAll("sudo ", "")], { cwd: folder });
    const linesOf = (title: RegExp): readonly string[] =>
      told.commands.find((task) => title.test(task.title))?.lines ?? [];

    for (const line of linesOf(/See what/)) await bash(line);
    for (const line of linesOf(/Copy/)) await bash(line);
    expect((await readFile(join(folder, "os.raw"))).equals(await readFile(image))).toBe(true);

    const [make = "", serve = "", mount = "", unmount = ""] = linesOf(/Mount/);
    await bash(make);
    const fuse = spawn("bash", ["-c", serve.replace(/ &$/, "").replace(/^/, "exec ")], {
      cwd: folder,
      stdio: "ignore",
    });
    try {
      await expect.poll(() => existsSync(join(folder, "nbd/image")), { timeout: 10_000 }).toBe(true);
      await bash(mount);
      try {
        expect((await readFile(join(folder, "mnt/letter"))).equals(letter)).toBe(true);
        await writeFile(join(folder, "mnt/new"), "written to the overlay");
      } finally {
        await bash(unmount);
      }
    } finally {
      if (fuse.exitCode === null) {
        fuse.kill();
        await once(fuse, "exit");
      }
    }
    for (const line of linesOf(/Copy/)) await bash(line);
    expect((await readFile(join(folder, "os.raw"))).equals(await readFile(image))).toBe(true);
    await interrupt();
  });

  test("serves one disk on a socket of the caller's, and takes the place of a killed one", async () => {
    const socket = join(shell.folder, "web1.sock");
    const first = await exporting("web1", "--disk", "data", "--listen", `unix:${socket}`);
    expect(first.told.exports.map(({ name }) => name)).toEqual(["data"]);
    first.child.kill("SIGKILL");
    await once(first.child, "exit");
    expect(existsSync(socket)).toBe(true);
    const second = await exporting("web1", "--disk", "data", "--listen", `unix:${socket}`);
    const third = exporting("web1", "--disk", "data", "--listen", `unix:${socket}`);
    await expect(third).rejects.toThrow(/It ended with 4: .*Another server listens/s);
    await run(tool("nbdinfo"), [second.told.exports[0]?.uri ?? ""]);
    expect(await second.interrupt()).toBe(130);
    expect(existsSync(socket)).toBe(false);
  });

  test("serves other machines over TLS alone", async () => {
    await expect(exporting("web1", "--listen", "0.0.0.0:0")).rejects.toThrow(
      /It ended with 2: farside: 0\.0\.0\.0 can be reached from other machines: give --tls-cert/,
    );
    const { server, client } = await makeCertificates(join(shell.folder, "pki"));
    const { told, interrupt } = await exporting("web1", "--listen", "127.0.0.1:0", "--tls-dir", server);
    expect(told.tls).toBe(true);
    const line = told.commands.find(({ title }) => title.startsWith("Copy"))?.lines[0] ?? "";
    const folder = await mkdtemp(join(shell.folder, "tls-"));
    await run("bash", ["-c", line.replaceAll("CERTIFICATES", encodeURIComponent(client))], { cwd: folder });
    expect((await readFile(join(folder, "os.raw"))).equals(await readFile(image))).toBe(true);
    await interrupt();
  });

  test("gives an error for what the vault has lost, says so, and serves the rest", async () => {
    const container = BlobServiceClient.fromConnectionString(
      shell.stack.vault.connectionString("farsidevault"),
    ).getContainerClient("vault");
    const chunk = await largestChunk(container);
    await chunk.client.upload("FSO1", 4);
    try {
      const { told, interrupt, err } = await exporting("web1");
      const uriOf = (name: string): string => told.exports.find((one) => one.name === name)?.uri ?? "";
      await expect(run(tool("nbdcopy"), [uriOf("os"), "null:"])).rejects.toThrow(/Input\/output error/);
      expect(err()).toMatch(/error nbd-read-failed .*export=os offset=\d+ .*cannot be read/);
      await run(tool("nbdcopy"), [uriOf("data"), "null:"]);
      expect(await interrupt()).toBe(130);
    } finally {
      await chunk.client.upload(chunk.content, chunk.content.length);
    }
  });

  test("says what is wrong with what it was asked for", async () => {
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [["nope"], 3, /no restore point of a VM "nope"/],
      [["web1@01M7Y3JTVJQ3629HETPB2YFR75"], 3, /does not exist: .farside point list. shows/],
      [["web1@"], 2, /names no restore point/],
      [["web1", "--disk", "nope"], 3, /no disk "nope": it has os, data/],
      [["web1", "--listen", "nonsense"], 2, /no address to listen on/],
      [["web1", "--tls-cert", "x"], 2, /together, or --tls-dir/],
      [["web1", "--tls-dir", "/nowhere"], 2, /cannot be read/],
      [["web1", "--listen", `unix:${image}`], 4, /exists and is no socket/],
      [["web1", "--listen", "unix:/nowhere/at/all.sock"], 2, /Cannot listen on/],
    ];
    for (const [args, exitCode, message] of cases) {
      const result = await shell.run(["export", ...args]);
      expect([result.exitCode, result.err]).toEqual([exitCode, expect.stringMatching(message)]);
    }
  });
});

/** One of the disk os: the other disk has two small ones alone. */
async function largestChunk(
  container: ContainerClient,
): Promise<{ readonly client: BlockBlobClient; readonly content: Buffer }> {
  let largest: { readonly name: string; readonly size: number } | undefined;
  for await (const { name, properties } of container.listBlobsFlat({ prefix: "chunks/" })) {
    const size = properties.contentLength ?? 0;
    if (largest === undefined || size > largest.size) largest = { name, size };
  }
  if (largest === undefined) throw new Error("The vault holds no chunk.");
  const client = container.getBlockBlobClient(largest.name);
  return { client, content: await client.downloadToBuffer() };
}
