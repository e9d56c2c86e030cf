/**
 * Peak memory of the command line itself, with the Azure SDK in it, over the emulator: a disk of 1 TiB with 1 GiB of data, half of
 * which does not compress and of which 768 MiB are a file system, restored to a file, copied from an export, and its files taken out.
 * Not measured: a real network, which keeps more requests waiting, but not more of them; other chunk sizes than 1 MiB.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { haveTools, tool } from "../../test/support/tools.ts";
import { peakOfCommand, type RunCommand } from "../support/command-memory.ts";
import type { Figure } from "../support/figure.ts";
import { makeDisk, mib, startRegions } from "../support/regions.ts";
import { runCopier } from "../support/run-copier.ts";

const run = promisify(execFile);
const limitBytes = 300 * mib;
const diskBytes = 1024 * 1024 * mib;
const dataBytes = 256 * mib;
const systemBytes = 768 * mib;
/** Of each, random and text. */
const fileCount = 160;
const fileBytes = 2 * mib;
const connections = [4, 16];

export async function commandMemory(): Promise<Figure[]> {
  if (process.platform !== "linux" || !haveTools("nbdcopy", "mkfs.ext4")) return [];
  const regions = await startRegions();
  const folder = await mkdtemp(join(tmpdir(), "farside-bench-"));
  try {
    const disk = await makeDisk(regions.sourceConnection, "disk", diskBytes, dataBytes);
    await uploadSystem(folder, (bytes, at) => disk.uploadPages(bytes, at, bytes.length));
    await runCopier({
      accounts: [regions.sourceConnection],
      vaultConnection: regions.vaultConnection,
      vaultContainer: "vault",
      diskUrl: disk.url,
      backups: 1,
    });
    const environment = {
      FARSIDE_VAULT: regions.vaultConnection,
      FARSIDE_VAULT_CONTAINER: "vault",
      FARSIDE_PASSPHRASE: "a passphrase for tests",
    };
    const measure = async (what: string, command: Omit<RunCommand, "environment">): Promise<Figure> => {
      const peak = await peakOfCommand({ ...command, environment });
      return {
        name: `peak memory of ${what}`,
        value: `${(peak / mib).toFixed(0)} MiB`,
        target: "< 300 MiB",
        met: peak < limitBytes,
      };
    };
    const restored = join(folder, "restored");
    const figures = [
      await measure("restore --to-file, a sparse disk of 1 TiB", { args: ["restore", "bench", "--to-file", restored] }),
      await measure("get, 640 MiB of files", { args: ["get", "bench:disk:/", join(folder, "files")] }),
    ];
    await rm(restored, { recursive: true });
    for (const count of connections) {
      const copied = join(folder, "copied.raw");
      figures.push(
        await measure(`export, nbdcopy with ${count} connections`, {
          args: ["export", "bench", "--json"],
          whileItRuns: async (output) => {
            const options = [`--connections=${count}`, `--threads=${count}`];
            await run(tool("nbdcopy"), [...options, await uriOf(output), copied]);
          },
        }),
      );
      await rm(copied);
    }
    return figures;
  } finally {
    await regions.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function uriOf(output: AsyncIterable<Buffer>): Promise<string> {
  let text = "";
  for await (const bytes of output) {
    text += bytes.toString();
    const [, uri] = /"uri": *"([^"]*)"/.exec(text) ?? [];
    if (uri !== undefined) return uri;
  }
  throw new Error(`The export ended: ${text}`);
}

async function uploadSystem(folder: string, upload: (bytes: Buffer, at: number) => Promise<unknown>): Promise<void> {
  const tree = join(folder, "tree");
  await mkdir(tree);
  for (let count = 0; count < fileCount; count++) {
    await writeFile(join(tree, `random-${count}`), randomBytes(fileBytes));
    await writeFile(join(tree, `text-${count}`), textOf(count));
  }
  const image = join(folder, "system.img");
  await writeFile(image, "");
  await truncate(image, systemBytes);
  await run(tool("mkfs.ext4"), ["-q", "-d", tree, image]);
  await rm(tree, { recursive: true });
  const file = await open(image);
  try {
    const piece = Buffer.alloc(4 * mib);
    for (let at = 0; at < systemBytes; at += piece.length) {
      await file.read(piece, 0, piece.length, at);
      if (piece.some((byte) => byte !== 0)) await upload(piece, at);
    }
  } finally {
    await file.close();
    await rm(image);
  }
}

/** It packs to about a third, as text does. */
function textOf(number: number): string {
  let text = "";
  for (let line = 0; text.length < fileBytes; line++) {
    text += `${number} ${line} ${(line * 2_654_435_761 * (number + 1)).toString(36)} is a line of a log\n`;
  }
  return text;
}
