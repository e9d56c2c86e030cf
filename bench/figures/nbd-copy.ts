/**
 * A disk copied out of the vault by `nbdcopy` from its NBD export against `restore --to-file` of the same disk, in turn, by one process
 * from one open vault over the same emulator into the same folder, in one run. The data is random, so that both fetch and write as much as
 * there is. Not measured: a real network, the start of either, a client on another machine.
 */
import { execFile, fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { exportCache } from "../../cli/actions/export.ts";
import { haveTools, tool } from "../../test/support/tools.ts";
import type { ExporterAnswer, ExporterAsk, ExporterOrder } from "../support/exporter.ts";
import { ratioFigure, type Figure } from "../support/figure.ts";
import { launcherArguments, launcherEnvironment } from "../support/launched.ts";
import { makeDisk, mib, startRegions } from "../support/regions.ts";
import { runCopier } from "../support/run-copier.ts";

const run = promisify(execFile);
const diskBytes = 384 * mib;
const rounds = 3;
const target = 0.7;

export async function nbdCopy(): Promise<Figure[]> {
  if (!haveTools("nbdcopy")) return [];
  const regions = await startRegions();
  const folder = await mkdtemp(join(tmpdir(), "farside-bench-"));
  let exporter: ChildProcess | undefined;
  try {
    const disk = await makeDisk(regions.sourceConnection, "disk", diskBytes, diskBytes);
    await runCopier({
      accounts: [regions.sourceConnection],
      vaultConnection: regions.vaultConnection,
      vaultContainer: "vault",
      diskUrl: disk.url,
      backups: 1,
    });
    exporter = await startExporter({
      vaultConnection: regions.vaultConnection,
      vaultContainer: "vault",
      // As real-pipeline.ts and copier.ts have them, which made the backup.
      passphrase: "a passphrase for tests",
      vmName: "bench",
      folder,
      cache: exportCache,
    });
    const ratios: number[] = [];
    let speeds = "";
    for (let round = 0; round < rounds; round++) {
      const restoreSeconds = await restore(exporter, join(folder, `restored-${round}`));
      const copySeconds = await copy(exporter, join(folder, `copied-${round}.raw`));
      ratios.push(restoreSeconds / copySeconds);
      const speed = (seconds: number): string => (diskBytes / mib / seconds).toFixed(0);
      speeds = `${speed(copySeconds)} of ${speed(restoreSeconds)} MiB/s in the last round`;
    }
    return [ratioFigure("nbdcopy of an export against restore --to-file of the same vault", ratios, target, speeds)];
  } finally {
    exporter?.kill();
    await regions.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function startExporter(order: ExporterOrder): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL("../support/exporter.ts", import.meta.url)), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    execArgv: [...launcherArguments],
    env: launcherEnvironment,
  });
  child.send(order);
  await answerOf(child);
  return child;
}

async function restore(exporter: ChildProcess, folder: string): Promise<number> {
  await mkdir(folder);
  const answer = await ask(exporter, { kind: "restore", folder });
  await rm(folder, { recursive: true });
  if (answer.kind !== "restored") throw new Error("The exporter answered something else.");
  return answer.seconds;
}

async function copy(exporter: ChildProcess, file: string): Promise<number> {
  const answer = await ask(exporter, { kind: "export" });
  if (answer.kind !== "exported") throw new Error("The exporter answered something else.");
  const startedAt = performance.now();
  await run(tool("nbdcopy"), ["--connections=4", "--flush", answer.uri, file]);
  const seconds = (performance.now() - startedAt) / 1000;
  await rm(file);
  return seconds;
}

async function ask(exporter: ChildProcess, question: ExporterAsk): Promise<ExporterAnswer> {
  exporter.send(question);
  return (await answerOf(exporter)) as ExporterAnswer;
}

async function answerOf(exporter: ChildProcess): Promise<unknown> {
  const ended = once(exporter, "exit").then(() => {
    throw new Error("The exporter ended; its message stands above.");
  });
  const [answer] = (await Promise.race([once(exporter, "message"), ended])) as [unknown];
  ended.catch(() => undefined);
  return answer;
}
