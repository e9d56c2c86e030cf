/**
 * A restore to a file against the raw speed of the same emulator: the same objects read whole with the same parallelism, in turn, in one
 * run. Each in a process of its own, as the emulator is. The data is random, so that the stored objects are as large as the disk.
 * Not measured: a real network, compressible data, and the disk that is written to beyond this machine's temporary folder.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ratioFigure, type Figure } from "../support/figure.ts";
import { launcherArguments, launcherEnvironment } from "../support/launched.ts";
import { makeDisk, mib, startRegions } from "../support/regions.ts";
import type { RestorerOrder } from "../support/restorer.ts";
import { runCopier } from "../support/run-copier.ts";

const diskBytes = 384 * mib;
const rounds = 5;
const target = 0.8;
const atOnce = 16;

export async function restoreSpeed(): Promise<Figure[]> {
  const regions = await startRegions();
  const folder = await mkdtemp(join(tmpdir(), "farside-bench-"));
  try {
    const disk = await makeDisk(regions.sourceConnection, "disk", diskBytes, diskBytes);
    await runCopier({
      accounts: [regions.sourceConnection],
      vaultConnection: regions.vaultConnection,
      vaultContainer: "vault",
      diskUrl: disk.url,
      backups: 1,
    });
    const order = { connection: regions.vaultConnection, container: "vault", folder, atOnce } as const;
    const ratios: number[] = [];
    let speeds = "";
    for (let round = 0; round < rounds; round++) {
      const rawSeconds = await timed({ ...order, kind: "raw" });
      const seconds = await timed({ ...order, kind: "restore" });
      ratios.push(rawSeconds / seconds);
      speeds = `${(diskBytes / mib / seconds).toFixed(0)} of ${(diskBytes / mib / rawSeconds).toFixed(0)} MiB/s in the last round`;
    }
    return [ratioFigure("restore to a file against the raw read speed of the same emulator", ratios, target, speeds)];
  } finally {
    await regions.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Seconds of the work itself, in a new process. */
async function timed(order: RestorerOrder): Promise<number> {
  const child = fork(fileURLToPath(new URL("../support/restorer.ts", import.meta.url)), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    execArgv: [...launcherArguments],
    env: launcherEnvironment,
  });
  let seconds: number | undefined;
  child.on("message", (message: { readonly seconds: number }) => (seconds = message.seconds));
  child.send(order);
  await once(child, "exit");
  if (seconds === undefined) throw new Error("The restorer ended without a report; its message stands above.");
  return seconds;
}
