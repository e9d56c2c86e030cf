/**
 * Starts the local ARM in a process of its own and stops it again. Of its own, as the storage regions are: so that it can be killed without
 * the app and the app without it, its memory is seen by itself, and its writes never hold up the host.
 *
 * 1. One process works on a folder. One that was left behind by a parent that was killed is on its way out, and is waited for and ended.
 * 2. It runs in a process group of its own: Ctrl-C reaches the program, which stops its parts in the right order.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { FarsideError } from "../../shared/core/errors.ts";
import { commandLineOf, endProcess } from "../azurite/running-process.ts";

export interface ArmProcessOptions {
  readonly folder: string;
  /** 0: any free one. */
  readonly port: number;
}

export type ArmProcessAnswer = { readonly url: string } | { readonly problem: string; readonly code?: string };

export interface ArmProcess {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. Never rejects. */
  readonly exited: Promise<void>;
  /** SIGTERM; SIGKILL after 10 s. Safe to call twice. */
  stop(): Promise<void>;
}

const stopGraceMs = 10_000;
const portTaken = "EADDRINUSE";

/** @throws FarsideError `unavailable`: the port is taken (`details.isPortTaken`), or it could not be started. */
export async function startArm({ folder, port }: ArmProcessOptions): Promise<ArmProcess> {
  await mkdir(folder, { recursive: true });
  await endLeftOver(folder);
  const source = fileURLToPath(new URL("arm-process.ts", import.meta.url));
  const entry = existsSync(source) ? source : fileURLToPath(new URL("local-arm.js", import.meta.url));
  // The folder is an argument for those who look at the process, first of all the next start on it.
  const child = fork(entry, [folder], { stdio: ["ignore", "ignore", "inherit", "ipc"], detached: true });
  const exited = once(child, "exit").then(() => rm(claimFile(folder), { force: true }));
  const { pid } = child;
  if (pid === undefined) throw new FarsideError("internal", "The process of the local ARM could not be started.");
  await claim(folder, pid);
  child.send({ folder, port } satisfies ArmProcessOptions);
  const [answer] = (await Promise.race([once(child, "message"), exited.then(() => [])])) as [ArmProcessAnswer?];
  if (answer === undefined || "problem" in answer) {
    await stop(child, exited);
    throw startFailure(answer, port);
  }
  return { url: answer.url, pid, exited, stop: () => stop(child, exited) };
}

async function stop(child: ChildProcess, exited: Promise<void>): Promise<void> {
  const kill = (name: NodeJS.Signals): void => {
    // Not by its id: once it has been reaped, that may be another's.
    if (child.exitCode === null && child.signalCode === null) child.kill(name);
  };
  kill("SIGTERM");
  const timer = setTimeout(() => kill("SIGKILL"), stopGraceMs);
  await exited;
  clearTimeout(timer);
}

function startFailure(answer: Extract<ArmProcessAnswer, { problem: string }> | undefined, port: number): FarsideError {
  if (answer?.code === portTaken) {
    return new FarsideError(
      "unavailable",
      `The local ARM could not start because port ${port} is in use: free it, or give another --port.`,
      { details: { port, isPortTaken: true } },
    );
  }
  const why = answer?.problem ?? "its process ended; its message stands above";
  return new FarsideError("unavailable", `The local ARM could not start: ${why}`, { details: { port } });
}

const claimSchema = z.object({ pid: z.int().min(2), command: z.string().min(1) });

const claimFile = (folder: string): string => join(folder, "arm-process.json");

async function claim(folder: string, pid: number): Promise<void> {
  const command = (await commandLineOf(pid)) ?? "";
  await writeFile(`${claimFile(folder)}.new`, JSON.stringify({ pid, command }));
  await rename(`${claimFile(folder)}.new`, claimFile(folder));
}

/** Nothing is ended on the strength of a number: the command line must be the one that was recorded, and name the folder. */
async function endLeftOver(folder: string): Promise<void> {
  const text = await readFile(claimFile(folder), "utf8").catch(() => "");
  const found = claimSchema.safeParse(parseJson(text));
  if (!found.success) return;
  const { pid, command } = found.data;
  if (command.includes(folder) && (await commandLineOf(pid)) === command) await endProcess(pid, stopGraceMs);
  await rm(claimFile(folder), { force: true });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Missing, or cut off while it was written: it says nothing.
    return undefined;
  }
}
