/**
 * One storage region on this machine: an Azurite (blob, queue, table) as a child process.
 *
 * 1. When startAzurite returns, all three services have answered a request.
 * 2. The child does not outlive this process, however this process ends: the child holds the reading end of a pipe and
 *    ends itself, saving its data, when the pipe closes. Only a frozen child (SIGSTOP) can stay behind; the next start
 *    on its folder ends it.
 * 3. One Azurite per data folder; see folder-claim.ts.
 * 4. It runs in a process group of its own: Ctrl-C reaches the program, which stops its parts in the right order, and
 *    not the storage under them.
 */
import type { ChildProcess } from "node:child_process";
import { mkdir, realpath } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { FarsideError } from "../../shared/core/errors.ts";
import { checkAccount, spawnAzurite, type AzuriteAccount } from "./azurite-command.ts";
import {
  claimFolder,
  portsFile,
  releaseFolder,
  rememberedPorts,
  rememberPorts,
  unclaimFolder,
  type Ports,
} from "./folder-claim.ts";
import { signal } from "./running-process.ts";

export interface AzuriteOptions {
  readonly accounts: readonly AzuriteAccount[];
  /** Keeps the data, and the ports, in this folder (made if missing). Without it all is in memory and ends with stop(). */
  readonly dataFolder?: string;
  /** 0 or missing: the port this folder had before, else any free one. */
  readonly ports?: Partial<Ports>;
  /** Time for all three services to answer. Default 60 s. */
  readonly startTimeoutMs?: number;
}

export interface Azurite {
  /** `http://127.0.0.1:PORT`, without a slash at the end. An account's own URL is `${blobUrl}/${account}`. */
  readonly blobUrl: string;
  readonly queueUrl: string;
  readonly tableUrl: string;
  readonly accounts: readonly AzuriteAccount[];
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. Never rejects. */
  readonly exited: Promise<AzuriteExit>;
  /** @throws FarsideError `not-found` for an account this region does not have. */
  connectionString(account: string): string;
  /** SIGTERM, at which Azurite saves its data; SIGKILL after 15 s. Safe to call twice. */
  stop(): Promise<void>;
  /** An outage: SIGSTOP. Requests hang until thaw(), which is SIGCONT. */
  freeze(): void;
  thaw(): void;
}

interface AzuriteExit {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** The last lines it wrote to standard error. */
  readonly stderr: string;
}

const stopGraceMs = 15_000;
/**
 * Starts a region on 127.0.0.1.
 * @throws FarsideError `bad-configuration` (account names or keys, folder that cannot be made), `in-use` (the folder),
 *   `unavailable` (a port is taken, it ended or did not answer in time).
 */
export async function startAzurite(options: AzuriteOptions): Promise<Azurite> {
  for (const account of options.accounts) checkAccount(account);
  if (options.accounts.length === 0) {
    throw new FarsideError("bad-configuration", "A storage region needs at least one account.");
  }
  const folder = options.dataFolder === undefined ? undefined : await prepareFolder(options.dataFolder);
  const remembered = folder === undefined ? undefined : await rememberedPorts(folder);
  const wanted: Ports = {
    blob: options.ports?.blob || remembered?.blob || 0,
    queue: options.ports?.queue || remembered?.queue || 0,
    table: options.ports?.table || remembered?.table || 0,
  };
  const child = spawnAzurite(options.accounts, folder, wanted);
  const pid = child.pid;
  const exited = watchExit(child).then(async (exit) => {
    // A part of "ended", so that it cannot take away the claim of the next one on the folder.
    if (folder !== undefined) await unclaimFolder(folder).catch(() => undefined);
    return exit;
  });
  if (pid === undefined) throw startFailure(await exited, wanted, folder);
  if (folder !== undefined) await claimFolder(folder, pid);

  const stop = async (): Promise<void> => {
    signalChild(child, "SIGTERM");
    signalChild(child, "SIGCONT");
    const timer = setTimeout(() => signalChild(child, "SIGKILL"), stopGraceMs);
    await exited;
    clearTimeout(timer);
  };
  const timeoutMs = options.startTimeoutMs ?? 60_000;
  const timeUp = AbortSignal.timeout(timeoutMs);
  try {
    const urls = await Promise.race([
      readyUrls(child, timeUp),
      exited.then((exit) => Promise.reject(startFailure(exit, wanted, folder))),
    ]);
    if (folder !== undefined) await rememberPorts(folder, portsOf(urls));
    return {
      ...urls,
      accounts: options.accounts,
      pid,
      exited,
      stop,
      connectionString: (account) => connectionString(urls, options.accounts, account),
      freeze: () => void signal(pid, "SIGSTOP"),
      thaw: () => void signal(pid, "SIGCONT"),
    };
  } catch (error) {
    await stop();
    if (!timeUp.aborted || error instanceof FarsideError) throw error;
    throw new FarsideError("unavailable", `Azurite did not answer within ${timeoutMs} ms of its start: try again.`, {
      cause: error,
    });
  }
}

interface Urls {
  readonly blobUrl: string;
  readonly queueUrl: string;
  readonly tableUrl: string;
}

async function prepareFolder(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true });
    const folder = await realpath(path);
    await releaseFolder(folder, stopGraceMs);
    return folder;
  } catch (error) {
    if (error instanceof FarsideError) throw error;
    throw new FarsideError("bad-configuration", `The data folder ${path} cannot be used: ${textOf(error)}`, {
      cause: error,
    });
  }
}

function watchExit(child: ChildProcess): Promise<AzuriteExit> {
  let stderr = "";
  const add = (text: string): void => {
    stderr = (stderr + text).slice(-4000);
  };
  child.stderr?.setEncoding("utf8").on("data", add);
  // Closing the pipe's end of a process that is gone already is no news.
  child.stdin?.on("error", () => undefined);
  return new Promise((resolve) => {
    child.once("error", (error) => {
      add(error.message);
      if (child.pid === undefined) resolve({ code: undefined, signal: undefined, stderr });
    });
    // "close" and not "exit": only then has all of its standard error been read.
    child.once("close", (code, name) => resolve({ code: code ?? undefined, signal: name ?? undefined, stderr }));
  });
}

async function readyUrls(child: ChildProcess, timeUp: AbortSignal): Promise<Urls> {
  const output = await new Promise<string>((resolve, reject) => {
    let text = "";
    timeUp.addEventListener("abort", () => reject(timeUp.reason as Error), { once: true });
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      if (text.includes("Table service is successfully")) return;
      text += chunk;
      if (/Table service is successfully listening at \S+\n/.test(text)) resolve(text);
    });
  });
  const urlOf = (service: string): string => {
    const url = new RegExp(`${service} service is successfully listening at (\\S+)`).exec(output)?.[1];
    if (url === undefined) {
      throw new FarsideError("unavailable", `Azurite did not say where its ${service} service is: ${output}`);
    }
    return url;
  };
  const urls = { blobUrl: urlOf("Blob"), queueUrl: urlOf("Queue"), tableUrl: urlOf("Table") };
  await Promise.all(Object.values(urls).map((url) => untilAnswered(url, timeUp)));
  return urls;
}

/** Any answer will do, also the refusal that a request without a signature gets. */
async function untilAnswered(url: string, timeUp: AbortSignal): Promise<void> {
  for (;;) {
    try {
      const answer = await fetch(url, { signal: timeUp });
      await answer.body?.cancel();
      return;
    } catch (error) {
      if (timeUp.aborted) throw error;
      await sleep(25);
    }
  }
}

function startFailure(exit: AzuriteExit, ports: Ports, folder: string | undefined): FarsideError {
  const taken = /EADDRINUSE[^\n]*?:(\d+)/.exec(exit.stderr)?.[1];
  const hint =
    taken === undefined
      ? "see its message above"
      : folder === undefined
        ? "use another port, or 0 for any free one"
        : `free the port; or delete ${portsFile(folder)} for new ones, which changes the URLs of the disks in it`;
  const what = taken === undefined ? "ended while it was starting" : `could not start because port ${taken} is in use`;
  return new FarsideError(
    "unavailable",
    `Azurite ${what} (${exit.signal ?? `exit code ${exit.code}`}): ${exit.stderr.trim() || "no message"}. What to do: ${hint}.`,
    { details: { ports, exitCode: exit.code } },
  );
}

function connectionString(urls: Urls, accounts: readonly AzuriteAccount[], name: string): string {
  const account = accounts.find((one) => one.name === name);
  if (account === undefined) {
    const known = accounts.map((one) => one.name).join(", ");
    throw new FarsideError("not-found", `This region has no storage account ${name}; it has ${known}.`);
  }
  return [
    "DefaultEndpointsProtocol=http",
    `AccountName=${name}`,
    `AccountKey=${account.key}`,
    `BlobEndpoint=${urls.blobUrl}/${name}`,
    `QueueEndpoint=${urls.queueUrl}/${name}`,
    `TableEndpoint=${urls.tableUrl}/${name}`,
  ].join(";");
}

const portsOf = (urls: Urls): Ports => ({
  blob: Number(new URL(urls.blobUrl).port),
  queue: Number(new URL(urls.queueUrl).port),
  table: Number(new URL(urls.tableUrl).port),
});

/** Not by pid: once the child has been reaped, its id may be another's. */
const signalChild = (child: ChildProcess, name: NodeJS.Signals): void => {
  if (child.exitCode === null && child.signalCode === null) child.kill(name);
};

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
