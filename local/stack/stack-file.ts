/**
 * `stack.json`: what `farside up` writes into its data folder, so that the other verbs find the service and the vault by
 * themselves. It holds keys: readable to its owner alone.
 */
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { FarsideError } from "../../shared/core/errors.ts";
import { localArmSchema } from "./local-arm.ts";

const regionSchema = z.object({
  /** Below the data folder. */
  folder: z.string(),
  account: z.string(),
  key: z.string(),
  connectionString: z.string(),
});

const stackSchema = z.object({
  format: z.literal("farside-stack"),
  version: z.literal(1),
  /** The `farside up` that wrote it, while it runs; gone after a clean stop. */
  process: z.object({ pid: z.int(), command: z.string(), startedAt: z.string() }).optional(),
  apiUrl: z.string(),
  apiKey: z.string(),
  masterKey: z.string(),
  regions: z.object({ source: regionSchema, vault: regionSchema }),
  vault: z.object({ connectionString: z.string(), container: z.string() }),
  /** Where one was started once: every later start has it too. */
  arm: localArmSchema.optional(),
  /** By the name under which `disk import --account` knows them. */
  accounts: z.record(z.string(), z.string()),
  /** Absent where the passphrase came from elsewhere: the environment, or a person. */
  passphraseFile: z.string().optional(),
});
export type StackFile = z.output<typeof stackSchema>;

const stackFileName = "stack.json";
export const defaultDataFolder = "farside-data";

const stackPath = (dataFolder: string): string => join(dataFolder, stackFileName);

/** Undefined where there is none. Throws `bad-configuration` for one that cannot be read. */
export function readStackFile(dataFolder: string): StackFile | undefined {
  const path = stackPath(dataFolder);
  if (!existsSync(path)) return undefined;
  try {
    return stackSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new FarsideError(
      "bad-configuration",
      `${path} is not what "farside up" writes: stop the stack, put the file aside, and start it again.`,
      { cause, details: { path } },
    );
  }
}

/** Whole or not at all: another verb may read it at any time. */
export function writeStackFile(dataFolder: string, stack: StackFile): void {
  const path = stackPath(dataFolder);
  writeFileSync(`${path}.new`, `${JSON.stringify(stack, undefined, 2)}\n`, { mode: 0o600 });
  chmodSync(`${path}.new`, 0o600);
  renameSync(`${path}.new`, path);
}

/** The data folder that a verb run in `from` belongs to: that folder, one above it, or `farside-data` in one of them. */
export function findDataFolder(from: string): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    for (const candidate of [folder, join(folder, defaultDataFolder)]) {
      if (existsSync(stackPath(candidate))) return candidate;
    }
    if (folder === dirname(folder)) return undefined;
  }
}
