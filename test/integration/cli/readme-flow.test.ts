/** What the README tells a newcomer to do, on the real stack: import, protect, back up, restore to files and to a container. */
import { BlobServiceClient, type BlockBlobClient } from "@azure/storage-blob";
import { randomBytes } from "node:crypto";
import { readFile, readdir, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parsed, startStackShell, type StackShell } from "../../support/stack-shell.ts";

interface Run {
  readonly runId: string;
  readonly state: string;
  readonly restorePointId: string;
  readonly consistency: string;
  readonly disks: readonly Record<string, unknown>[];
}

const mebibyte = 1024 * 1024;
const osBytes = 24 * mebibyte;
/** Not a whole number of chunks. */
const dataBytes = 5 * mebibyte + 512;

let shell: StackShell;
const images: Record<"os" | "data", { path: string; url: string }> = {
  os: { path: "", url: "" },
  data: { path: "", url: "" },
};
const run: StackShell["run"] = (...args) => shell.run(...args);

beforeAll(async () => {
  shell = await startStackShell();
  for (const [name, bytes] of [
    ["os", osBytes],
    ["data", dataBytes],
  ] as const) {
    const path = join(shell.folder, `${name}.raw`);
    await writeFile(path, randomBytes(2 * mebibyte));
    await truncate(path, bytes);
    images[name] = { path, url: "" };
  }
});
afterAll(() => shell?.stop());

describe("A newcomer", () => {
  let first: Run;
  let second: Run;

  test("imports disks, whose zeros are not sent", async () => {
    for (const name of ["os", "data"] as const) {
      const done = parsed<{ name: string; url: string; sizeBytes: number }>(
        await run(["disk", "import", images[name].path, `web1-${name}`, "--json"]),
      );
      expect(done).toEqual({
        name: `web1-${name}`,
        url: expect.stringMatching(new RegExp(`/farsidesource/disks/web1-${name}\\.vhd$`)) as string,
        sizeBytes: name === "os" ? osBytes : dataBytes,
      });
      images[name].url = done.url;
    }
    const again = await run(["disk", "import", images.os.path, "web1-os"]);
    expect(again.exitCode).toBe(4);
    expect(again.err).toMatch(/^farside: .*web1-os\.vhd exists already[^\n]*\n$/);
  });

  test("sets a policy and protects a VM", async () => {
    const policy = ["policy", "set", "daily", "--schedule", "0 3 * * *", "--keep-daily", "14", "--rpo", "26h"];
    expect((await run(policy)).out).toContain("Made the policy daily.");
    const disks = ["--disk", `os=${images.os.url}`, `data=${images.data.url}`];
    const protect = await run(["vm", "protect", "web1", "--policy", "daily", ...disks]);
    expect(protect).toMatchObject({ exitCode: 0, err: "" });
    const [listed] = parsed<{ name: string; policy: string }[]>(await run(["vm", "list", "--json"]));
    expect(listed).toMatchObject({ name: "web1", policy: "daily" });
  });

  test("backs it up and sees what it took", async () => {
    first = parsed<Run>(await run(["backup", "web1", "--wait", "--json"]));
    expect(first).toMatchObject({ state: "succeeded", consistency: "crash", trigger: "on-demand", vm: "web1" });
    expect(first.disks).toMatchObject([
      { name: "os", mode: "full", sizeBytes: osBytes, newChunks: 2 },
      { name: "data", mode: "full", sizeBytes: dataBytes, newChunks: 2 },
    ]);
    const people = await run(["status"]);
    expect(people.out).toMatch(/^web1 +daily +ok /m);
  });

  test("backs it up again, which stores nothing new", async () => {
    second = parsed<Run>(await run(["backup", "web1", "--wait", "--json"]));
    expect(second.disks).toMatchObject([
      { name: "os", mode: "incremental", newChunks: 0, storedBytes: 0 },
      { name: "data", mode: "incremental", newChunks: 0, storedBytes: 0 },
    ]);
    const points = parsed<{ restorePointId: string; state: string }[]>(await run(["point", "list", "web1", "--json"]));
    expect(points.map((point) => point.restorePointId)).toEqual([second.restorePointId, first.restorePointId]);
    expect(points.map((point) => point.state)).toEqual(["standing", "standing"]);
    const shown = parsed<{ restorePointId: string }>(await run(["point", "show", "web1", "latest", "--json"]));
    expect(shown.restorePointId).toBe(second.restorePointId);
  });

  test("restores both points to files, byte for byte, and overwrites nothing", async () => {
    for (const { restorePointId } of [first, second]) {
      const folder = join(shell.folder, restorePointId);
      const restore = ["restore", "web1", "--point", restorePointId, "--to-file", folder];
      parsed(await run([...restore, "--json"]));
      for (const name of ["os", "data"] as const) {
        const [restored, original] = await Promise.all([
          readFile(join(folder, `${name}.raw`)),
          readFile(images[name].path),
        ]);
        expect(restored.equals(original)).toBe(true);
      }
      const again = await run(restore);
      expect(again.exitCode).toBe(4);
      expect(again.err).toMatch(/^farside: [^\n]*os\.raw exists already[^\n]*\n$/);
      expect((await readdir(folder)).sort()).toEqual(["data.raw", "os.raw"]);
    }
  });

  test("restores one disk as a VHD", async () => {
    const folder = join(shell.folder, "vhd");
    const args = ["restore", "web1", "--disk", "data", "--format", "vhd", "--to-file", folder];
    expect((await run(args)).exitCode).toBe(0);
    expect(await readdir(folder)).toEqual(["data.vhd"]);
    expect((await stat(join(folder, "data.vhd"))).size).toBe(dataBytes + 512);
  });

  test("restores to a container of the vault's region, once", async () => {
    const vault = `${shell.stack.vault.blobUrl}/farsidevault`;
    const args = ["restore", "web1", "--to-container", `${vault}/restored`, "--wait", "--json"];
    const done = parsed<Run>(await run(args));
    expect(done).toMatchObject({ state: "succeeded", kind: "restore", restorePointId: second.restorePointId });
    expect(done.disks.map((disk) => disk["url"])).toEqual([`${vault}/restored/os.vhd`, `${vault}/restored/data.vhd`]);
    expect((await run(args)).exitCode).toBe(4);
  });

  test("verifies what is in the vault", async () => {
    const report = parsed<{ whole: boolean; checked: { readChunks: number } }>(
      await run(["verify", "web1", "--read-data", "--json"]),
    );
    expect(report).toMatchObject({ whole: true, checked: { restorePoints: 2, readChunks: 4 } });
  });

  test("sees the runs and their history", async () => {
    const runs = parsed<{ runId: string }[]>(await run(["run", "list", "--vm", "web1", "--json"]));
    expect(runs).toHaveLength(3);
    const shown = parsed<{ events: { name: string }[] }>(await run(["run", "show", first.runId, "--json"]));
    expect(shown.events.map((event) => event.name)).toContain("run-succeeded");
    const people = await run(["run", "show", first.runId]);
    expect(people.out).toMatch(/state: +succeeded/);
  });

  test("stops protecting, and can still restore from the vault alone", async () => {
    expect((await run(["vm", "unprotect", "web1"])).exitCode).toBe(0);
    expect((await run(["policy", "remove", "daily"])).exitCode).toBe(0);
    const folder = join(shell.folder, "after");
    expect((await run(["restore", "web1", "--to-file", folder])).exitCode).toBe(0);
  });

  test("has heard no complaint from the service", () => {
    expect(shell.complaints).toEqual([]);
  });
});

describe("A damaged vault", () => {
  const damages: readonly (readonly [string, (chunk: BlockBlobClient) => Promise<unknown>])[] = [
    [
      "a chunk with a bit turned round",
      async (chunk) => {
        const content = await chunk.downloadToBuffer();
        content[100] = (content[100] ?? 0) ^ 1;
        await chunk.upload(content, content.length);
      },
    ],
    ["a chunk cut short", (chunk) => chunk.upload("FSO1", 4)],
    ["a chunk that is missing", (chunk) => chunk.delete()],
  ];

  test.each(damages)("with %s is told by exit code 5, disk and bytes, and makes no disk", async (_what, damage) => {
    const container = BlobServiceClient.fromConnectionString(
      shell.stack.vault.connectionString("farsidevault"),
    ).getContainerClient("vault");
    let kept: { readonly name: string; readonly content: Buffer } | undefined;
    for await (const { name } of container.listBlobsFlat({ prefix: "chunks/" })) {
      kept = { name, content: await container.getBlockBlobClient(name).downloadToBuffer() };
      break;
    }
    if (kept === undefined) throw new Error("The vault holds no chunk.");
    const chunk = container.getBlockBlobClient(kept.name);
    await damage(chunk);
    try {
      const folder = join(shell.folder, "damaged");
      const restored = await run(["restore", "web1", "--to-file", folder, "--json"]);
      expect(restored.exitCode).toBe(5);
      expect(restored.err).toMatch(
        /^farside: The disk "(?:os|data)" of restore point \S+ cannot be restored: bytes \d+ to \d+ are lost\./,
      );
      const { error } = JSON.parse(restored.out) as { error: { code: string; details: Record<string, unknown> } };
      expect(error).toMatchObject({ code: "vault-corrupt", details: { object: kept.name } });
      expect(Number(error.details["toByte"]) - Number(error.details["fromByte"])).toBeLessThanOrEqual(mebibyte);
      expect((await readdir(folder)).filter((name) => !name.includes(".partial"))).toEqual([]);

      const verified = await run(["verify", "web1", "--read-data"]);
      expect(verified.exitCode).toBe(5);
      expect(verified.out).toContain(kept.name);
      expect(verified.out).toMatch(/disk (?:os|data) bytes \d+ to \d+/);
    } finally {
      await chunk.upload(kept.content, kept.content.length);
    }
    expect((await run(["verify", "web1", "--read-data"])).exitCode).toBe(0);
  });
});

describe("Refused, each with one line, the right exit code and nothing changed, is", () => {
  const cases: readonly (readonly [string, () => readonly string[], number, RegExp])[] = [
    ["a backup of an unknown VM", () => ["backup", "nope"], 3, /No VM "nope"/],
    [
      "an unknown policy",
      () => ["vm", "protect", "v", "--policy", "nope", "--disk", `os=${images.os.url}`],
      3,
      /no policy "nope"/,
    ],
    ["a disk that is not there", () => protect(`${images.os.url}x`), 3, /web1-os\.vhdx/],
    [
      "a blob that is no page blob",
      () => protect(`${shell.stack.vault.blobUrl}/farsidevault/vault/vault.json`),
      2,
      /vault\.json/,
    ],
    ["another account", () => protect("https://other.blob.core.windows.net/disks/os.vhd"), 2, /no access configured/],
    ["a SAS", () => protect(`${images.os.url}?sig=topsecret`), 2, /without a SAS/],
    [
      "two disks of one name",
      () => [...protect(images.os.url), `os=${images.data.url}`],
      2,
      /Two disks are called "os"/,
    ],
    [
      "a cron text that never fires",
      () => [...policy, "--keep-last", "1", "--schedule", "0 0 30 2 *"],
      2,
      /never fires/,
    ],
    [
      "an unknown time zone",
      () => [...policy, "--keep-last", "1", "--schedule", "0 3 * * *", "--time-zone", "Mars/Olympus"],
      2,
      /no time zone "Mars\/Olympus"/,
    ],
    ["a retention of nothing", () => policy, 2, /keeps nothing/],
    ["points of an unknown VM", () => ["point", "list", "nope"], 3, /"nope"/],
    ["a restore of an unknown VM", () => ["restore", "nope", "--to-file", join(shell.folder, "no")], 3, /"nope"/],
    [
      "an unknown disk",
      () => ["restore", "web1", "--disk", "nope", "--to-file", join(shell.folder, "no")],
      3,
      /no disk "nope": it has os, data/,
    ],
    [
      "an unknown point",
      () => ["restore", "web1", "--point", "01M7Y3JTVJQ3629HETPB2YFR75", "--to-file", join(shell.folder, "no")],
      3,
      /does not exist/,
    ],
    [
      "a time before all points",
      () => ["restore", "web1", "--at", "2020-01-01", "--to-file", join(shell.folder, "no")],
      3,
      /no restore point of 20\S+ or before/,
    ],
    ["a target that is a file", () => ["restore", "web1", "--to-file", images.os.path], 4, /is a file/],
    [
      "a container of another account",
      () => ["restore", "web1", "--to-container", "https://other.blob.core.windows.net/x"],
      2,
      /no access configured/,
    ],
    ["a directory as an image", () => ["disk", "import", shell.folder, "bad"], 2, /is not a file/],
    ["an image that is not there", () => ["disk", "import", join(shell.folder, "none"), "bad"], 3, /There is no file/],
    ["an import under a bad name", () => ["disk", "import", images.os.path, "../bad"], 2, /is not allowed/],
    [
      "an import into an unknown account",
      () => ["disk", "import", images.os.path, "bad", "--account", "nope"],
      3,
      /give one of source, vault/,
    ],
    [
      "a second stack on the same folder",
      () => ["up", "--data", shell.stack.dataFolder],
      4,
      new RegExp(`process ${process.pid}`),
    ],
  ];
  const policy = ["policy", "set", "bad"];
  const protect = (url: string): readonly string[] => ["vm", "protect", "v", "--policy", "kept", "--disk", `os=${url}`];

  beforeAll(async () => {
    parsed(await run(["policy", "set", "kept", "--keep-last", "1", "--json"]));
  });

  test.each(cases)("%s", async (_what, args, exitCode, message) => {
    const result = await run(args());
    const lines = result.err.split("\n").filter((line) => line.startsWith("farside: "));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(message);
    expect(result.exitCode).toBe(exitCode);
    expect(result.out).toBe("");
    expect(result.err).not.toContain("topsecret");
    expect(parsed<unknown[]>(await run(["vm", "list", "--json"]))).toEqual([]);
    expect(parsed<unknown[]>(await run(["policy", "list", "--json"]))).toHaveLength(1);
    await expect(readdir(join(shell.folder, "no"))).rejects.toThrow(/ENOENT/);
  });

  const files: readonly (readonly [string, Buffer, RegExp])[] = [
    ["an empty file", Buffer.alloc(0), /is empty/],
    ["a text", Buffer.from("hello world\n"), /no disk image/],
    ["a qcow2 image", Buffer.concat([Buffer.from("QFI\xfb", "latin1"), Buffer.alloc(65_532)]), /qcow2/],
    ["a dynamic VHD", Buffer.concat([Buffer.from("conectix"), Buffer.alloc(65_528)]), /VHD/],
  ];
  test.each(files)("%s as an image", async (_what, content, message) => {
    const path = join(shell.folder, "bad-image");
    await writeFile(path, content);
    for (const args of [
      ["disk", "import", path, "bad"],
      ["vault", "seed", path],
    ]) {
      const result = await run(args);
      expect(result.exitCode).toBe(2);
      expect(result.err).toMatch(message);
    }
  });
});
