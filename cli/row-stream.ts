/**
 * Rows as they are found: lines for people, one JSON array with --json, both without end in memory.
 *
 * Standard output holds one whole document, whatever happens: an error that comes before anything was written is the document itself;
 * one that comes later ends the array behind the last row, and is told on standard error and by the exit code.
 */
import type { Verb } from "./verb.ts";

const flushLetters = 64 * 1024;
const arrayEnd = "\n]\n";

/** Ends the rows when the work has ended, well or not. */
export async function withRows(verb: Verb, work: (rows: RowStream) => Promise<void>): Promise<void> {
  const rows = new RowStream(verb);
  try {
    await work(rows);
    await rows.end();
  } catch (error) {
    rows.breakOff();
    throw error;
  }
}

class RowStream {
  readonly #verb: Verb;
  #waiting = "";
  #rows = 0;
  /** Its end is among what waits, or out. */
  #isEnded = false;

  constructor(verb: Verb) {
    this.#verb = verb;
  }

  /** `line` without its end. */
  async add(value: unknown, line: string): Promise<void> {
    const text = this.#verb.output.json ? `${this.#rows === 0 ? "[" : ","}\n  ${JSON.stringify(value)}` : `${line}\n`;
    this.#rows += 1;
    this.#waiting += text;
    // People see each line at once; what programs read may come in larger pieces.
    if (!this.#verb.output.json || this.#waiting.length >= flushLetters) await this.#flush();
  }

  async end(): Promise<void> {
    if (this.#verb.output.json) this.#waiting += this.#rows === 0 ? "[]\n" : arrayEnd;
    this.#isEnded = true;
    await this.#flush();
  }

  /** Not by `write`, which does nothing any more after Ctrl-C. */
  breakOff(): void {
    if (!this.#verb.output.hasDocument) return;
    this.#verb.shell.out(this.#isEnded ? this.#waiting : `${this.#waiting}${arrayEnd}`);
  }

  async #flush(): Promise<void> {
    // Before it is taken: after Ctrl-C nothing is written, and what waits is still to come.
    this.#verb.signal.throwIfAborted();
    const text = this.#waiting;
    this.#waiting = "";
    if (text === "") return;
    this.#verb.output.beginDocument();
    await this.#verb.shell.write(Buffer.from(text));
  }
}
