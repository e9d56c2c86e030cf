/**
 * A function app for the tests of the local host: a real folder with package.json, host.json and one CommonJS file that
 * requires the real `@azure/functions`, and a real storage region for its queues.
 */
import { QueueServiceClient, type QueueClient } from "@azure/storage-queue";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startAzurite, type Azurite } from "../../../local/azurite/azurite-process.ts";
import { startHost } from "../../../local/host/host.ts";
import type { Host, HostOptions, HostTimings } from "../../../local/host/host-options.ts";
import type { LogLevel } from "../../../local/host/log.ts";

const account = "hosttests";
const key = Buffer.from("a key of a test, and nothing else").toString("base64");

export interface LogLine {
  readonly level: LogLevel;
  readonly category: string;
  readonly message: string;
}

export interface AppOptions {
  /** CommonJS; `app`, `output`, `note(value)` and `sleep(ms)` are defined. */
  readonly source: string;
  readonly queues?: Readonly<Record<string, unknown>>;
  readonly hostJson?: Readonly<Record<string, unknown>>;
  readonly settings?: Readonly<Record<string, string>>;
}

const prelude = `
const { app, input, output } = require("@azure/functions");
const { appendFileSync } = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");
const note = (value) => appendFileSync("notes.jsonl", JSON.stringify({ at: Date.now(), value }) + "\\n");
`;

/** One region and the apps, hosts and folders of one test file. */
export class HostBench {
  readonly #azurite: Azurite;
  readonly #folders: string[] = [];
  readonly #hosts: Host[] = [];

  private constructor(azurite: Azurite) {
    this.#azurite = azurite;
  }

  static async start(): Promise<HostBench> {
    return new HostBench(await startAzurite({ accounts: [{ name: account, key }] }));
  }

  get azurite(): Azurite {
    return this.#azurite;
  }

  get storage(): string {
    return this.#azurite.connectionString(account);
  }

  queue(name: string): QueueClient {
    return QueueServiceClient.fromConnectionString(this.storage).getQueueClient(name);
  }

  async app(options: AppOptions): Promise<LocalApp> {
    const folder = await mkdtemp(join(tmpdir(), "farside-app-"));
    this.#folders.push(folder);
    await mkdir(join(folder, "dist"));
    const modules = fileURLToPath(new URL("../../../node_modules", import.meta.url));
    await symlink(modules, join(folder, "node_modules"));
    const hostJson = {
      version: "2.0",
      extensions: { queues: { maxPollingInterval: "00:00:00.200", visibilityTimeout: "00:00:01", ...options.queues } },
      ...options.hostJson,
    };
    await writeFile(join(folder, "host.json"), JSON.stringify(hostJson));
    await writeFile(join(folder, "package.json"), JSON.stringify({ name: "app", main: "dist/app.js" }));
    await writeFile(join(folder, "dist/app.js"), prelude + options.source);
    return new LocalApp(folder, { AzureWebJobsStorage: this.storage, ...options.settings }, this.#hosts);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.stop()));
    await this.#azurite.stop();
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }
}

export class LocalApp {
  readonly folder: string;
  readonly log: LogLine[] = [];
  readonly #settings: Readonly<Record<string, string>>;
  readonly #hosts: Host[];

  constructor(folder: string, settings: Readonly<Record<string, string>>, hosts: Host[]) {
    this.folder = folder;
    this.#settings = settings;
    this.#hosts = hosts;
  }

  /** A host with short times: messages invisible for 2 s, restarts at once, little grace. */
  async host(timings: Partial<HostTimings> = {}, options: Partial<HostOptions> = {}): Promise<Host> {
    const host = await startHost({
      appFolder: this.folder,
      settings: this.#settings,
      port: 0,
      log: (level, category, message) => this.log.push({ level, category, message }),
      ...options,
      timings: { queueVisibilityMs: 2000, workerRestartDelayMs: 20, stopGraceMs: 5000, ...timings },
    });
    this.#hosts.push(host);
    return host;
  }

  /** What the functions noted, in order. */
  async notes(): Promise<{ at: number; value: unknown }[]> {
    const text = await readFile(join(this.folder, "notes.jsonl"), "utf8").catch(() => "");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { at: number; value: unknown });
  }

  async noted(): Promise<unknown[]> {
    return (await this.notes()).map(({ value }) => value);
  }

  logged(pattern: RegExp): LogLine[] {
    return this.log.filter(({ category, message }) => pattern.test(`${category}: ${message}`));
  }
}

/** Waits until the probe answers something; fails with `what` after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`it did not come about within ${timeoutMs} ms: ${what}`);
    await sleep(25);
  }
}

export const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** The messages of a queue, without taking them. */
export async function peekAll(queue: QueueClient): Promise<string[]> {
  try {
    const answer = await queue.peekMessages({ numberOfMessages: 32 });
    return answer.peekedMessageItems.map(({ messageText }) => Buffer.from(messageText, "base64").toString());
  } catch {
    return [];
  }
}

/** Messages in a queue, the invisible ones too. */
export async function depth(queue: QueueClient): Promise<number> {
  return (await queue.getProperties()).approximateMessagesCount ?? 0;
}
