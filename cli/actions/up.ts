import { createWriteStream, existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { describeError, type LogLevel, type LogSink } from "../../local/host/log.ts";
import type { Stack } from "../../local/stack/stack.ts";
import { makeDataFolder, startStack } from "../../local/stack/stack.ts";
import { defaultDataFolder, findDataFolder, readStackFile } from "../../local/stack/stack-file.ts";
import { readPassphrase } from "../../shared/compose/vault.ts";
import { settingOf } from "../../shared/config/problems.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import type { Verb } from "../verb.ts";

interface UpFlags {
  readonly port?: number;
  readonly ephemeral?: true;
}

export async function up(verb: Verb, flags: UpFlags): Promise<number> {
  if (flags.ephemeral === true && verb.dataFolder !== undefined) {
    throw new FarsideError("bad-input", "--ephemeral uses a temporary folder: leave out --data.");
  }
  const dataFolder = flags.ephemeral === true ? undefined : makeDataFolder(dataFolderOf(verb));
  const passphrase = await passphraseOf(verb, dataFolder);
  if (!verb.output.json) verb.output.note("Starting two storage regions and the functions host…");
  const stack = await startStack({
    ...(dataFolder === undefined ? {} : { dataFolder }),
    ...(flags.port === undefined ? {} : { port: flags.port }),
    ...(passphrase === undefined ? {} : { passphrase }),
    log: logSink(verb, dataFolder),
    signal: verb.signal,
  });
  try {
    tell(verb, stack);
    return await untilEnd(verb, stack);
  } finally {
    if (!verb.output.json) verb.output.note("Stopping…");
    await stack.stop();
  }
}

function dataFolderOf(verb: Verb): string {
  if (verb.dataFolder !== undefined) return resolve(verb.shell.cwd, verb.dataFolder);
  return findDataFolder(verb.shell.cwd) ?? join(verb.shell.cwd, defaultDataFolder);
}

/** From the environment, or typed where the folder keeps none; undefined: the kept one, or a new one that is kept. */
async function passphraseOf(verb: Verb, dataFolder: string | undefined): Promise<string | undefined> {
  const { environment, askSecret } = verb.shell;
  const text = environment["FARSIDE_PASSPHRASE"];
  if (text !== undefined && text !== "") return text;
  const path = settingOf(environment, "FARSIDE_PASSPHRASE_FILE");
  if (path !== undefined) return readPassphrase({ kind: "file", path });
  if (dataFolder === undefined || askSecret === undefined) return undefined;
  const before = readStackFile(dataFolder);
  if (before?.passphraseFile !== undefined) return undefined;
  if (before !== undefined) return askSecret(`Passphrase of the vault in ${dataFolder}: `);
  const typed = await askSecret(
    `Passphrase for the new vault, at least 16 characters (empty: one is made up and kept in ${dataFolder}): `,
  );
  if (typed === "") return undefined;
  if ((await askSecret("The same again: ")) === typed) return typed;
  throw new FarsideError("bad-input", "The two passphrases differ: nothing was started, try again.");
}

function tell(verb: Verb, stack: Stack): void {
  const { output } = verb;
  const { dataFolder, apiUrl, apiKey, source, vault, made, file } = stack;
  if (output.json) {
    const { accounts: _accounts, regions: _regions, masterKey: _master, vault: _vault, ...shown } = file;
    output.thing({ ...shown, dataFolder, source: source.blobUrl, vault: vault.blobUrl }, []);
    return;
  }
  if (made.vault)
    output.line(`Made a vault in ${vault.blobUrl}/${file.regions.vault.account}/${file.vault.container}.`);
  if (made.passphraseFile) {
    output.line(
      `Its passphrase was generated and is kept in ${join(dataFolder, "passphrase")}: copy it to a safe place.`,
    );
  }
  output.thing(undefined, [
    ["API", `${apiUrl}/api   (openapi.json, health)`],
    ["key", `${apiKey}   (header x-functions-key)`],
    ["source region", `${source.blobUrl}/${file.regions.source.account}`],
    ["vault region", `${vault.blobUrl}/${file.regions.vault.account}`],
    ["data directory", dataFolder],
  ]);
  const isFound = findDataFolder(verb.shell.cwd) === dataFolder;
  const at = isFound ? "" : ` --data ${verb.dataFolder ?? dataFolder}`;
  const farside = existsSync(join(verb.shell.cwd, "scripts/launch.mjs")) ? "./farside" : "farside";
  output.line("");
  output.line("In another terminal:");
  output.line(`  ${farside} disk import my-disk.raw web1-os${at}`);
  output.line(`  ${farside} policy set daily --schedule "0 3 * * *" --keep-daily 14${at}`);
  output.line(
    `  ${farside} vm protect web1 --policy daily --disk os=${source.blobUrl}/${file.regions.source.account}/disks/web1-os.vhd${at}`,
  );
  output.line(`  ${farside} backup web1 --wait${at}`);
  output.line(`  ${farside} restore web1 --to-file restored${at}`);
  output.line("");
  output.line("Ctrl-C stops everything.");
}

/** 130 after Ctrl-C, as every verb; an end of a part is an error. */
async function untilEnd(verb: Verb, stack: Stack): Promise<number> {
  const asked = new Promise<"asked">((done) => {
    if (verb.signal.aborted) done("asked");
    verb.signal.addEventListener("abort", () => done("asked"), { once: true });
  });
  const ended = Promise.race([
    stack.source.exited.then(() => "source region"),
    stack.vault.exited.then(() => "vault region"),
  ]);
  const what = await Promise.race([asked, ended]);
  if (what === "asked") return 130;
  throw new FarsideError(
    "unavailable",
    `The storage of the ${what} has ended by itself: see farside.log, then start again.`,
  );
}

const shownLevels: ReadonlySet<LogLevel> = new Set(["warning", "error", "critical"]);

/** Everything into a file in the data folder; what is wrong also on standard error, and all of it with --verbose. */
function logSink(verb: Verb, dataFolder: string | undefined): LogSink {
  const file =
    dataFolder === undefined
      ? undefined
      : createWriteStream(join(dataFolder, "farside.log"), { flags: "a", mode: 0o600 });
  file?.on("error", (error) => verb.output.note(`The log cannot be written: ${describeError(error)}`));
  return (level, category, message) => {
    if (level === "trace" || level === "debug") return;
    const line = `${new Date().toISOString()} ${level} ${category} ${message}`;
    file?.write(`${line}\n`);
    if (verb.verbose || shownLevels.has(level)) verb.output.note(line);
  };
}
