/**
 * The app's settings, as the real host reads them.
 *
 * 1. Names are compared without regard to case, and `__` in a name is the same as `:`.
 * 2. The process environment is no part of them: what the app finds here is what it would find in Azure.
 * 3. `%NAME%` in a binding is replaced by the setting; a name without a value is an error at start, never an empty text.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { FarsideError } from "../../shared/core/errors.ts";

export class Settings {
  readonly #values: ReadonlyMap<string, string>;
  readonly #entries: Readonly<Record<string, string>>;

  constructor(entries: Readonly<Record<string, string>>) {
    this.#entries = entries;
    this.#values = new Map(Object.entries(entries).map(([name, value]) => [canonical(name), value]));
  }

  /** The value; undefined where it is missing or empty. */
  get(name: string): string | undefined {
    const value = this.#values.get(canonical(name));
    return value === "" ? undefined : value;
  }

  /** As the app's process gets them: the names as they were written. */
  asEnvironment(): Record<string, string> {
    return { ...this.#entries };
  }

  /** Settings below a section, such as `AzureFunctionsJobHost`: their path (lower case) and their value. */
  below(section: string): { path: readonly string[]; value: string }[] {
    const prefix = `${canonical(section)}:`;
    return [...this.#values]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => ({ path: name.slice(prefix.length).split(":"), value }));
  }

  /**
   * The text with each `%NAME%` replaced.
   * @throws FarsideError `bad-configuration` for a setting that is missing, or a `%` that is never closed.
   */
  resolveNames(text: string, where: string): string {
    const parts = text.split("%");
    if (parts.length % 2 === 0) {
      throw new FarsideError(
        "bad-configuration",
        `${where} is ${JSON.stringify(text)}: a "%" in it has no closing "%".`,
      );
    }
    return parts.map((part, index) => (index % 2 === 0 ? part : this.#resolve(part, text, where))).join("");
  }

  #resolve(name: string, text: string, where: string): string {
    const value = this.get(name);
    if (value !== undefined) return value;
    throw new FarsideError(
      "bad-configuration",
      `${where} is ${JSON.stringify(text)} and the setting ${JSON.stringify(name)} is missing or empty: set it.`,
      { details: { setting: name } },
    );
  }
}

const localSettingsSchema = z.looseObject({
  IsEncrypted: z.boolean().optional(),
  Values: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
});

/**
 * The `Values` of a local.settings.json.
 * @throws FarsideError `bad-configuration` where the file is missing, is no JSON, has other values than texts, or is encrypted.
 */
export async function loadLocalSettings(path: string): Promise<Record<string, string>> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new FarsideError(
      "bad-configuration",
      `${path} cannot be read as JSON: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  const parsed = localSettingsSchema.safeParse(content);
  if (!parsed.success) {
    throw new FarsideError("bad-configuration", `${path} is not valid: ${z.prettifyError(parsed.error)}`);
  }
  if (parsed.data.IsEncrypted === true) {
    throw new FarsideError("bad-configuration", `${path} is encrypted: decrypt it with "func settings decrypt" first.`);
  }
  return Object.fromEntries(Object.entries(parsed.data.Values).map(([name, value]) => [name, String(value)]));
}

const canonical = (name: string): string => name.replaceAll("__", ":").toLowerCase();
