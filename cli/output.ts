/**
 * What a verb says. Standard output belongs to its result: a table or lines for people, one JSON document with --json and nothing
 * else. Notes and progress go to standard error.
 */
import type { Column } from "./format.ts";
import { formatFields, formatTable } from "./format.ts";
import type { Shell } from "./shell.ts";

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
}

export class Output {
  readonly #shell: Shell;
  readonly json: boolean;
  readonly #quiet: boolean;
  #hasDocument = false;

  constructor(shell: Shell, options: OutputOptions) {
    this.#shell = shell;
    this.json = options.json;
    this.#quiet = options.quiet;
  }

  /** A list: `items` as JSON, else a table, or `nothing` where it is empty. */
  list<Row>(items: readonly unknown[], rows: readonly Row[], columns: readonly Column<Row>[], nothing: string): void {
    if (this.json) this.#document(items);
    else if (rows.length === 0) this.line(nothing);
    else this.#shell.out(formatTable(columns, rows));
  }

  /** One thing: the value as JSON, else its fields. */
  thing(value: unknown, fields: readonly (readonly [string, string | undefined])[]): void {
    if (this.json) this.#document(value);
    else this.#shell.out(formatFields(fields));
  }

  /** The value as JSON, else one line. */
  done(value: unknown, line: string): void {
    if (this.json) this.#document(value);
    else this.line(line);
  }

  /** A part of a result for people; with --json it is in the document. */
  table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): void {
    if (!this.json) this.#shell.out(formatTable(columns, rows));
  }

  /** A line for people on standard output; silent with --json and --quiet. */
  line(text: string): void {
    if (!this.json && !this.#quiet) this.#shell.out(`${text}\n`);
  }

  /** A remark on standard error; silent with --quiet. */
  note(text: string): void {
    if (!this.#quiet) this.#shell.err(`${text}\n`);
  }

  /** What must be seen, on standard error, also with --quiet. */
  warning(text: string): void {
    this.#shell.err(`${text}\n`);
  }

  /** Whether progress may be drawn: on a terminal, and unless --quiet. */
  get drawsProgress(): boolean {
    return this.#shell.errIsTerminal && !this.#quiet;
  }

  /** Whether the one JSON document is out, or a part of it: then an error is told on standard error alone. */
  get hasDocument(): boolean {
    return this.#hasDocument;
  }

  /** For a document that is written in pieces. */
  beginDocument(): void {
    this.#hasDocument ||= this.json;
  }

  draw(text: string): void {
    this.#shell.err(text);
  }

  #document(value: unknown): void {
    this.beginDocument();
    this.#shell.out(`${JSON.stringify(value, undefined, 2)}\n`);
  }
}
