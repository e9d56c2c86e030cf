/**
 * Which Azurite works on a data folder. Two instances on one folder have no lock between them: the last one to save
 * wins, and what the other one acknowledged is lost.
 *
 * 1. A folder with a live Azurite of a live owner is refused.
 * 2. A live Azurite whose owner has gone is an orphan: it is ended, gently, before the folder is used.
 * 3. Nothing is ended on the strength of a number: the command line must name Azurite and this folder.
 */
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FarsideError } from "../../shared/core/errors.ts";
import { commandLineOf, endProcess } from "./running-process.ts";

interface Claim {
  readonly pid: number;
  readonly ownerPid: number;
  readonly ownerCommand: string;
}

export interface Ports {
  readonly blob: number;
  readonly queue: number;
  readonly table: number;
}

const claimFile = (folder: string): string => join(folder, "azurite-process.json");
export const portsFile = (folder: string): string => join(folder, "azurite-ports.json");

/**
 * Makes sure that no Azurite runs on the folder: ends an orphan.
 * @throws FarsideError `in-use` where another live program runs one on it.
 */
export async function releaseFolder(folder: string, graceMs: number): Promise<void> {
  const claim = (await readJson(claimFile(folder))) as Partial<Claim> | undefined;
  if (claim === undefined || !isPid(claim.pid)) return;
  const command = await commandLineOf(claim.pid);
  if (command !== undefined && command.includes("azurite") && command.includes(`--location ${folder}`)) {
    if (isPid(claim.ownerPid) && (await stillRuns(claim.ownerPid, claim.ownerCommand))) {
      throw new FarsideError(
        "in-use",
        `The data folder ${folder} is used by a running Azurite (process ${claim.pid}, started by process ${claim.ownerPid}): stop that one first, or use another folder.`,
        { details: { folder, pid: claim.pid, ownerPid: claim.ownerPid } },
      );
    }
    await endProcess(claim.pid, graceMs);
  }
  await rm(claimFile(folder), { force: true });
}

/** Looks for a second: an owner that was killed this instant may still be on its way out. */
async function stillRuns(pid: number, command: string | undefined): Promise<boolean> {
  for (const endsAt = performance.now() + 1000; performance.now() < endsAt; await sleep(50)) {
    if ((await commandLineOf(pid)) !== command) return false;
  }
  return true;
}

/** Records that the Azurite `pid`, a child of this process, works on the folder. */
export async function claimFolder(folder: string, pid: number): Promise<void> {
  const ownerCommand = (await commandLineOf(process.pid)) ?? "";
  await writeJson(claimFile(folder), { pid, ownerPid: process.pid, ownerCommand } satisfies Claim);
}

export async function unclaimFolder(folder: string): Promise<void> {
  await rm(claimFile(folder), { force: true });
}

/** The ports this folder was served on before, so that URLs stored somewhere stay right; undefined at the first start. */
export async function rememberedPorts(folder: string): Promise<Ports | undefined> {
  const stored = (await readJson(portsFile(folder))) as Partial<Ports> | undefined;
  const { blob, queue, table } = stored ?? {};
  return isPort(blob) && isPort(queue) && isPort(table) ? { blob, queue, table } : undefined;
}

export async function rememberPorts(folder: string, ports: Ports): Promise<void> {
  await writeJson(portsFile(folder), ports);
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch {
    // Missing, or cut off by a crash while it was written: it says nothing.
    return undefined;
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(value)}\n`);
  await rename(`${path}.new`, path);
}

const isPid = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 1;
const isPort = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) > 0 && (value as number) < 65_536;
