import { createWriteStream, existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { describeError, type LogLevel, type LogSink } from "../../local/host/log.ts";
import type { LocalArmFile } from "../../local/stack/local-arm.ts";
import type { Stack } from "../../local/stack/stack.ts";
import { makeDataFolder, startStack } from "../../local/stack/stack.ts";
import { defaultDataFolder, findDataFolder, readStackFile, type StackFile } from "../../local/stack/stack-file.ts";
import { readPassphrase } from "../../shared/compose/vault.ts";
import { settingOf } from "../../shared/config/problems.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import type { Verb } from "../verb.ts";

interface UpFlags {
  readonly port?: number;
  readonly arm?: true;
  readonly ephemeral?: true;
}

export async function up(verb: Verb, flags: UpFlags): Promise<number> {
  if (flags.ephemeral === true && verb.dataFolder !== undefined) {
    throw new FarsideError("bad-input", "--ephemeral uses a temporary folder: leave out --data.");
  }
  const dataFolder = flags.ephemeral === true ? undefined : makeDataFolder(dataFolderOf(verb));
  const passphrase = await passphraseOf(verb, dataFolder);
  const hasArm = flags.arm === true || (dataFolder !== undefined && readStackFile(dataFolder)?.arm !== undefined);
  const parts = `two storage regions${hasArm ? ", the local ARM" : ""} and the functions host`;
  if (!verb.output.json) verb.output.note(`Starting ${parts}…`);
  const stack = await startStack({
    ...(dataFolder === undefined ? {} : { dataFolder }),
    ...(flags.port === undefined ? {} : { port: flags.port }),
    ...(flags.arm === undefined ? {} : { arm: { samples: true } }),
    ...(passphrase === undefined ? {} : { passphrase }),
    settings: discoveryOf(verb),
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
    ...armFacts(file),
    ["data directory", dataFolder],
  ]);
  const isFound = findDataFolder(verb.shell.cwd) === dataFolder;
  const at = isFound ? "" : ` --data ${verb.dataFolder ?? dataFolder}`;
  const farside = existsSync(join(verb.shell.cwd, "scripts/launch.mjs")) ? "./farside" : "farside";
  output.line("");
  output.line("In another terminal:");
  const lines = file.arm === undefined ? pageBlobLines(stack) : sampleVmLines(file.arm);
  for (const line of lines) output.line(`  ${farside} ${line}${at}`);
  output.line("");
  output.line("Ctrl-C stops everything.");
}

function armFacts({ arm }: StackFile): readonly (readonly [string, string])[] {
  if (arm === undefined) return [];
  return [
    ["local ARM", `${arm.url}   (docs/local-arm.md)`],
    ["subscription", `${arm.subscriptionId}   (resource group ${arm.resourceGroup})`],
    ...arm.sampleVms.map((id) => ["sample VM", id] as const),
  ];
}

const dailyPolicy = 'policy set daily --schedule "0 3 * * *" --keep-daily 14';

function pageBlobLines({ source, file }: Stack): readonly string[] {
  const url = `${source.blobUrl}/${file.regions.source.account}/disks/web1-os.vhd`;
  return [
    "disk import my-disk.raw web1-os",
    dailyPolicy,
    `vm protect web1 --policy daily --disk os=${url}`,
    "backup web1 --wait",
    "restore web1 --to-file restored",
  ];
}

function sampleVmLines({ sampleVms }: LocalArmFile): readonly string[] {
  const named = sampleVms.map((id) => ({ id, name: id.split("/").at(-1) ?? "" }));
  return [
    dailyPolicy,
    ...named.map(({ id, name }) => `vm protect ${name} --resource-id ${id} --policy daily`),
    ...named.slice(0, 1).flatMap(({ name }) => [`backup ${name} --wait`, `restore ${name} --to-file restored`]),
  ];
}

/** Where to look for VMs by their tag is said as it is in Azure; all else that the app needs is the stack's own. */
function discoveryOf({ shell }: Verb): Readonly<Record<string, string>> {
  const named = ["FARSIDE_DISCOVER", "FARSIDE_DISCOVERY_TAG"].flatMap((name) => {
    const value = settingOf(shell.environment, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(named);
}

/** 130 after Ctrl-C, as every verb; an end of a part is an error. */
async function untilEnd(verb: Verb, stack: Stack): Promise<number> {
  const asked = new Promise<"asked">((done) => {
    if (verb.signal.aborted) done("asked");
    verb.signal.addEventListener("abort", () => done("asked"), { once: true });
  });
  const ended = Promise.race([
    stack.source.exited.then(() => "storage of the source region"),
    stack.vault.exited.then(() => "storage of the vault region"),
    ...(stack.arm === undefined ? [] : [stack.arm.exited.then(() => "local ARM")]),
  ]);
  const what = await Promise.race([asked, ended]);
  if (what === "asked") return 130;
  throw new FarsideError("unavailable", `The ${what} has ended by itself: see farside.log, then start again.`);
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
