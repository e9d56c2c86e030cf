/**
 * Patterns of names and paths: `*` any letters, `?` one letter, `[a-z]` and `[!a-z]` one of a set, `**` letters and `/` too, `**` with
 * a `/` behind it any number of folders (none as well), `\` before a letter takes it as it is.
 *
 * The pattern becomes a list of states that are all tried at once, so that no pattern and no name makes it slow: letters times states
 * at most.
 */
import { FarsideError } from "../errors.ts";
import { quote } from "../ids.ts";

export type Matcher = (text: string) => boolean;

type Token =
  | { readonly kind: "letter"; readonly letter: string }
  | { readonly kind: "one" }
  | { readonly kind: "set"; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] }
  /** Stays, and goes on without a letter. `crossing`: over `/` too. */
  | { readonly kind: "many"; readonly crossing: boolean }
  /** The begin of any number of folders: into them, or past them. */
  | { readonly kind: "folders" }
  /** Within them: until behind a `/`. */
  | { readonly kind: "folder" };

/** A path has at most 4,096 bytes (PATH_MAX in Linux' limits.h): a longer pattern matches nothing that a person means. */
const maxPatternLetters = 4096;

/** Throws `bad-input` for a pattern that cannot be read. */
export function glob(pattern: string, options: { readonly ignoreCase: boolean }): Matcher {
  const fold = (text: string): string => (options.ignoreCase ? text.toLowerCase() : text);
  const letters = Array.from(fold(pattern));
  if (letters.length === 0 || letters.length > maxPatternLetters) {
    throw badPattern(pattern, `use 1 to ${maxPatternLetters} letters`);
  }
  const tokens = parseTokens(pattern, letters);
  return (text) => run(tokens, fold(text));
}

function parseTokens(pattern: string, letters: readonly string[]): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < letters.length; at++) {
    const letter = letters[at] ?? "";
    if (letter === "?") tokens.push({ kind: "one" });
    else if (letter === "*") {
      if (letters[at + 1] !== "*") tokens.push({ kind: "many", crossing: false });
      else {
        while (letters[at + 1] === "*") at++;
        const folders = letters[at + 1] === "/";
        if (folders) at++;
        if (folders) tokens.push({ kind: "folders" }, { kind: "folder" });
        else tokens.push({ kind: "many", crossing: true });
      }
    } else if (letter === "[") {
      const set = parseSet(pattern, letters, at);
      tokens.push(set.token);
      at = set.end;
    } else if (letter === "\\") {
      at++;
      const taken = letters[at];
      if (taken === undefined) throw badPattern(pattern, "a letter must follow the last \\");
      tokens.push({ kind: "letter", letter: taken });
    } else tokens.push({ kind: "letter", letter });
  }
  return tokens;
}

/** `start` is at `[`, `end` will be at `]`. A `]` right behind the bracket belongs to the set, as in glob(7). */
function parseSet(
  pattern: string,
  letters: readonly string[],
  start: number,
): { readonly token: Token; readonly end: number } {
  const negated = letters[start + 1] === "!" || letters[start + 1] === "^";
  const ranges: [string, string][] = [];
  let at = start + (negated ? 2 : 1);
  for (const first = at; at < letters.length && (letters[at] !== "]" || at === first); at++) {
    const from = letters[at] ?? "";
    const to = letters[at + 2];
    if (letters[at + 1] === "-" && to !== undefined && to !== "]") {
      ranges.push([from, to]);
      at += 2;
    } else ranges.push([from, from]);
  }
  if (at >= letters.length) throw badPattern(pattern, 'a "[" has no "]"; write "\\[" for the letter itself');
  return { token: { kind: "set", negated, ranges }, end: at };
}

function run(tokens: readonly Token[], text: string): boolean {
  let states = new Set<number>();
  enter(tokens, states, 0);
  for (const letter of text) {
    const next = new Set<number>();
    for (const state of states) step(tokens, next, state, letter);
    states = next;
    if (states.size === 0) return false;
  }
  return states.has(tokens.length);
}

function step(tokens: readonly Token[], next: Set<number>, state: number, letter: string): void {
  const token = tokens[state];
  if (token === undefined) return;
  switch (token.kind) {
    case "letter":
      if (letter === token.letter) enter(tokens, next, state + 1);
      return;
    case "one":
      if (letter !== "/") enter(tokens, next, state + 1);
      return;
    case "set":
      if (letter !== "/" && holds(token, letter)) enter(tokens, next, state + 1);
      return;
    case "many":
      if (token.crossing || letter !== "/") enter(tokens, next, state);
      return;
    case "folder":
      next.add(state);
      if (letter === "/") enter(tokens, next, state + 1);
      return;
    case "folders":
      return;
    default:
      token satisfies never;
  }
}

/** Adds a state and all that are reached from it without a letter. */
function enter(tokens: readonly Token[], states: Set<number>, first: number): void {
  const pending = [first];
  for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
    if (states.has(state)) continue;
    states.add(state);
    const kind = tokens[state]?.kind;
    if (kind === "many") pending.push(state + 1);
    if (kind === "folders") pending.push(state + 1, state + 2);
  }
}

function holds({ negated, ranges }: Extract<Token, { kind: "set" }>, letter: string): boolean {
  return ranges.some(([from, to]) => from <= letter && letter <= to) !== negated;
}

function badPattern(pattern: string, what: string): FarsideError {
  return new FarsideError("bad-input", `The pattern ${quote(pattern)} cannot be read: ${what}.`);
}
