/**
 * Rows as they are found: lines for people, one JSON array with --json, both without end in memory. What fails early fails before
 * anything was written, so that the error is the one document.
 */
import type { Verb } from "./verb.ts";

const flushLetters = 64 * 1024;

export class RowStream {
  readonly #verb: Verb;
  #waiting = "";
  #rows = 0;

  constructor(verb: Verb) {
    this.#verb = verb;
  }

  get rows(): number {
    return this.#rows;
  }

  /** `line` without its end. */
  async add(value: unknown, line: string): Promise<void> {
    const text = this.#verb.output.json ? `${this.#rows === 0 ? "[" : ","}\n  ${JSON.stringify(value)}` : `${line}\n`;
    this.#rows += 1;
    this.#waiting += text;
    // People see each line at once; what programs read may come in larger pieces.
    if (!this.#verb.output.json || this.#waiting.length >= flushLetters) await this.#flush();
  }

  /** With `nothing`, people are told that there was no row. */
  async end(nothing?: string): Promise<void> {
    if (this.#verb.output.json) this.#waiting += this.#rows === 0 ? "[]\n" : "\n]\n";
    else if (this.#rows === 0 && nothing !== undefined) this.#verb.output.line(nothing);
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const text = this.#waiting;
    this.#waiting = "";
    if (text !== "") await this.#verb.shell.write(Buffer.from(text));
  }
}
