/**
 * Peak memory of a process that reads the largest disk there is, as fast as a local file gives the chunks: more than a network does.
 * It is started with the settings that the launcher (`farside`) gives to Node.js. Not measured: what the Azure SDK adds, which
 * command-memory.ts has; other chunk sizes than 1 MiB.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Figure } from "../support/figure.ts";
import { launcherArguments, launcherEnvironment } from "../support/launched.ts";
import { mib } from "../support/regions.ts";

const run = promisify(execFile);
const limitBytes = 300 * mib;

export async function readMemory(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), "farside-read-memory-"));
  try {
    const reader = fileURLToPath(new URL("../support/huge-disk-reader.ts", import.meta.url));
    const chunks = join(folder, "chunks");
    await run(process.execPath, [reader, "make", chunks]);
    const env = launcherEnvironment;
    const { stdout } = await run(process.execPath, [...launcherArguments, reader, "read", chunks], { env });
    const { peakBytes, bytes } = JSON.parse(stdout) as { peakBytes: number; bytes: number };
    return [
      {
        name: "peak memory of reading a disk of 64 TiB, cache of 64 MiB",
        value: `${(peakBytes / mib).toFixed(0)} MiB after ${(bytes / mib).toFixed(0)} MiB of chunks`,
        target: "< 300 MiB",
        met: peakBytes < limitBytes,
      },
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}
