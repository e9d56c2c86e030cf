/**
 * Collects what is wrong with the settings, so that a person hears of all of it at once.
 *
 * 1. Every problem names its setting and says what to do.
 * 2. A value is shown only where the setting holds no secret: connection strings, SAS URLs, keys and passphrases are never shown.
 */
import { FarsideError } from "../core/errors.ts";

export interface SettingProblem {
  readonly setting: string;
  readonly problem: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export class Problems {
  readonly #found: SettingProblem[] = [];

  add(setting: string, problem: string): undefined {
    this.#found.push({ setting, problem });
    return undefined;
  }

  /** Throws `bad-configuration` with every problem, where there is one. */
  throwIfAny(): void {
    if (this.#found.length === 0) return;
    const lines = this.#found.map(({ setting, problem }) => `${setting} ${problem}`);
    const lead = lines.length === 1 ? "" : `${lines.length} settings are wrong: `;
    throw new FarsideError("bad-configuration", lead + lines.join(" "), { details: { problems: [...this.#found] } });
  }
}

/** A setting's text, or undefined where it is missing or blank: an empty setting is how portals write "not set". */
export function settingOf(environment: Environment, name: string): string | undefined {
  const text = environment[name]?.trim();
  return text === undefined || text === "" ? undefined : text;
}
