/**
 * The local stack: two storage regions, a vault in the second, a local ARM where one is wanted, and the functions host that loads the
 * compiled app.
 *
 * 1. A start is all or nothing: where a part fails, the parts before it are stopped.
 * 2. What must stay the same from start to start (keys, ports, the API's address) is kept in the data folder.
 * 3. A stop goes from the outside in: the host with its messages first, the storage under it last.
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { systemClock, systemRandom } from "../../shared/compose/system.ts";
import { createVault } from "../../shared/compose/vault.ts";
import { functionNames } from "../../shared/config/function-names.ts";
import { FarsideError, hasCode } from "../../shared/core/errors.ts";
import type { Azurite } from "../azurite/azurite-process.ts";
import { startAzurite } from "../azurite/azurite-process.ts";
import { commandLineOf } from "../azurite/running-process.ts";
import { startHost } from "../host/host.ts";
import type { Host, HostTimings } from "../host/host-options.ts";
import { newKey } from "../host/keys.ts";
import type { LogSink } from "../host/log.ts";
import { buildIfNeeded, findAppFolder } from "./app-build.ts";
import { startLocalArm, type LocalArm } from "./local-arm.ts";
import { runningStack } from "./running-stack.ts";
import type { StackFile } from "./stack-file.ts";
import { readStackFile, writeStackFile } from "./stack-file.ts";

export interface StackOptions {
  /** Made where it is missing. Without one, a temporary folder that stop() removes. */
  readonly dataFolder?: string;
  /** Of the API. Default: the one it had before, else any free one. */
  readonly port?: number;
  /**
   * Of the vault; made with it at the first start. Without one: the passphrase kept in the folder, which at the first start is
   * generated.
   */
  readonly passphrase?: string;
  /** A local ARM too. A folder that had one gets it without being asked. */
  readonly arm?: {
    /** The first start makes sample VMs in it. */
    readonly samples: boolean;
  };
  readonly log: LogSink;
  /** Settings of the app beside those of the stack. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly timings?: Partial<HostTimings>;
  readonly signal?: AbortSignal;
}

export interface Stack {
  readonly dataFolder: string;
  /** `http://127.0.0.1:PORT`, without `/api`. */
  readonly apiUrl: string;
  readonly apiKey: string;
  readonly source: Azurite;
  readonly vault: Azurite;
  readonly arm?: LocalArm;
  readonly host: Host;
  /** What the other verbs find. */
  readonly file: StackFile;
  /** What this start did for the first time. */
  readonly made: { readonly vault: boolean; readonly passphraseFile: boolean; readonly build: boolean };
  /** Safe to call twice. */
  stop(): Promise<void>;
}

const sourceAccount = "farsidesource";
const vaultAccount = "farsidevault";
const vaultContainer = "vault";
const passphraseFileName = "passphrase";

/**
 * @throws FarsideError `in-use` (another `farside up` works on the folder; its pid is in the details), `passphrase-missing`,
 *   `passphrase-wrong`, `bad-configuration`, `unavailable`.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const signal = options.signal ?? new AbortController().signal;
  const ephemeral = options.dataFolder === undefined;
  const dataFolder =
    options.dataFolder === undefined
      ? mkdtempSync(join(realpathSync(tmpdir()), "farside-"))
      : makeDataFolder(options.dataFolder);
  // Undone from the last to the first.
  const undo: (() => Promise<void>)[] = [];
  const stopAll = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  if (ephemeral) undo.push(() => Promise.resolve(rmSync(dataFolder, { recursive: true, force: true })));
  try {
    await refuseSecond(dataFolder);
    const before = readStackFile(dataFolder);
    const appFolder = findAppFolder();
    const build = await buildIfNeeded(appFolder, signal);

    const keys = before?.regions ?? { source: { key: newAccountKey() }, vault: { key: newAccountKey() } };
    const source = await startRegion(dataFolder, "source-region", sourceAccount, keys.source.key);
    undo.push(() => source.stop());
    const vault = await startRegion(dataFolder, "vault-region", vaultAccount, keys.vault.key);
    undo.push(() => vault.stop());
    signal.throwIfAborted();

    const connections = {
      source: source.connectionString(sourceAccount),
      vault: vault.connectionString(vaultAccount),
    };
    const passphrase = choosePassphrase(dataFolder, before, options.passphrase);
    const madeVault = await createVault(
      {
        vault: { kind: "connection-string", connectionString: connections.vault, container: vaultContainer },
        passphrase: { kind: "text", text: passphrase.text },
      },
      { clock: systemClock(), random: systemRandom() },
      signal,
    );

    const arm =
      options.arm === undefined && before?.arm === undefined
        ? undefined
        : await startLocalArm(
            { dataFolder, apiPort: options.port, before: before?.arm, samples: options.arm?.samples === true },
            signal,
          );
    if (arm !== undefined) undo.push(() => arm.stop());

    const hostKeys = { host: before?.apiKey ?? newKey(), master: before?.masterKey ?? newKey() };
    const host = await startHostOn(options.port, before, {
      appFolder,
      settings: {
        ...settingsOf(connections, passphrase),
        ...(arm === undefined ? {} : { FARSIDE_LOCAL_ARM: arm.url }),
        ...options.settings,
      },
      keys: hostKeys,
      log: options.log,
      expectedFunctions: functionNames,
      // The storage accounts are this folder's own, so that its timers are too.
      hostId: "farside",
      ...(options.timings === undefined ? {} : { timings: options.timings }),
    });
    undo.push(() => host.stop());

    const file: StackFile = {
      format: "farside-stack",
      version: 1,
      process: {
        pid: process.pid,
        command: (await commandLineOf(process.pid)) ?? "",
        startedAt: new Date().toISOString(),
      },
      apiUrl: host.url,
      apiKey: hostKeys.host,
      masterKey: hostKeys.master,
      regions: {
        source: regionOf("source-region", sourceAccount, keys.source.key, connections.source),
        vault: regionOf("vault-region", vaultAccount, keys.vault.key, connections.vault),
      },
      vault: { connectionString: connections.vault, container: vaultContainer },
      accounts: connections,
      ...(arm === undefined ? {} : { arm: arm.file }),
      ...(passphrase.file === undefined ? {} : { passphraseFile: passphraseFileName }),
    };
    writeStackFile(dataFolder, file);
    undo.push(() => {
      const { process: _ended, ...rest } = file;
      writeStackFile(dataFolder, rest);
      return Promise.resolve();
    });
    return {
      dataFolder,
      apiUrl: host.url,
      apiKey: hostKeys.host,
      source,
      vault,
      ...(arm === undefined ? {} : { arm }),
      host,
      file,
      made: { vault: madeVault, passphraseFile: passphrase.isNew, build },
      stop: stopAll,
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

/** Made where it is missing; its real path. Throws `bad-configuration`. */
export function makeDataFolder(wanted: string): string {
  const folder = resolve(wanted);
  try {
    // It holds keys.
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return realpathSync(folder);
  } catch (cause) {
    throw new FarsideError(
      "bad-configuration",
      `The data directory ${folder} cannot be made: give another with --data, or check its rights.`,
      { cause, details: { folder } },
    );
  }
}

async function refuseSecond(dataFolder: string): Promise<void> {
  const running = await runningStack(dataFolder);
  if (running === undefined) return;
  throw new FarsideError(
    "in-use",
    `A "farside up" runs on ${dataFolder} already (process ${running.pid}): use it, stop it, or give another --data.`,
    { details: { dataFolder, pid: running.pid } },
  );
}

const newAccountKey = (): string => randomBytes(64).toString("base64");

function startRegion(dataFolder: string, folder: string, name: string, key: string): Promise<Azurite> {
  return startAzurite({ accounts: [{ name, key }], dataFolder: join(dataFolder, folder) });
}

function regionOf(folder: string, account: string, key: string, connectionString: string) {
  return { folder, account, key, connectionString };
}

interface ChosenPassphrase {
  readonly text: string;
  /** Where it is kept; absent where its owner keeps it. */
  readonly file?: string;
  readonly isNew: boolean;
}

function choosePassphrase(
  dataFolder: string,
  before: StackFile | undefined,
  given: string | undefined,
): ChosenPassphrase {
  const file = join(dataFolder, passphraseFileName);
  // Kept before stack.json is written for the first time: a start that failed in between must find it again.
  if (existsSync(file)) return { text: readFileSync(file, "utf8").replace(/\r?\n$/, ""), file, isNew: false };
  if (given !== undefined) return { text: given, isNew: false };
  if (before !== undefined) {
    throw new FarsideError(
      "passphrase-missing",
      `The vault in ${dataFolder} was made with a passphrase that is not kept there: set FARSIDE_PASSPHRASE, or start it on a terminal.`,
    );
  }
  const text = randomBytes(24).toString("base64url");
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
  return { text, file, isNew: true };
}

/**
 * The size that V8 lets its nursery grow to, in MiB for each of its halves. What a request leaves there is short-lived, but many at once
 * make it grow to its full size and stay: bench/figures/memory.ts measured 333 MiB for restores without this, and 243 with it.
 */
const workerArguments = "--max-semi-space-size=8";

function settingsOf(
  connections: { readonly source: string; readonly vault: string },
  passphrase: ChosenPassphrase,
): Readonly<Record<string, string>> {
  return {
    AzureWebJobsStorage: connections.source,
    FUNCTIONS_WORKER_RUNTIME: "node",
    languageWorkers__node__arguments: workerArguments,
    FARSIDE_STATE: connections.source,
    FARSIDE_VAULT: connections.vault,
    FARSIDE_VAULT_CONTAINER: vaultContainer,
    FARSIDE_ACCOUNT_SOURCE: connections.source,
    FARSIDE_ACCOUNT_VAULT: connections.vault,
    ...(passphrase.file === undefined
      ? { FARSIDE_PASSPHRASE: passphrase.text }
      : { FARSIDE_PASSPHRASE_FILE: passphrase.file }),
  };
}

/** The port it had before may be taken by now: only one that was asked for is insisted on. */
async function startHostOn(
  wanted: number | undefined,
  before: StackFile | undefined,
  options: Omit<Parameters<typeof startHost>[0], "port">,
): Promise<Host> {
  if (wanted !== undefined) return startHost({ ...options, port: wanted });
  const remembered = before === undefined ? 0 : Number(new URL(before.apiUrl).port);
  try {
    return await startHost({ ...options, port: remembered });
  } catch (error) {
    if (remembered === 0 || !hasCode(error, "unavailable")) throw error;
    return startHost({ ...options, port: 0 });
  }
}
