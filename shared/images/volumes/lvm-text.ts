/**
 * The text in which LVM2 writes its metadata (lib/config/config.c): `name = value`, `name { … }`, values being numbers, strings and
 * lists of them, comments from `#` to the end of the line. Bounded in depth and in parts, since it comes from a disk.
 */
import { imageCorrupt } from "../image-errors.ts";
import { printable } from "./printable.ts";

export type LvmScalar = string | number;
export type LvmValue = LvmScalar | readonly LvmScalar[];
export interface LvmSection {
  readonly values: ReadonlyMap<string, LvmValue>;
  readonly sections: ReadonlyMap<string, LvmSection>;
}

/** A group, its volumes, one volume, one segment: four deep; tags and histories add none. */
const maxDepth = 8;
/** Names, values and signs: 100 for each of 65,536 segments is more than LVM itself bears. */
const maxTokens = 8_000_000;

/** Of a name or a number. One class, repeated: nothing that could be tried in two ways. */
const wordPattern = /[A-Za-z0-9_.+\-/]+/y;

type Token =
  | { readonly kind: "word" | "string" | "sign"; readonly text: string; readonly at: number }
  | { readonly kind: "end"; readonly at: number };

/** `where` names the text in errors. Throws `image-corrupt` with the place. */
export function parseLvmText(where: string, text: string): LvmSection {
  return parseSection(new Tokens(where, text), 0);
}

class Tokens {
  readonly #where: string;
  readonly #text: string;
  #at = 0;
  #count = 0;
  #peeked: Token | undefined;

  constructor(where: string, text: string) {
    this.#where = where;
    // What follows a NUL is the padding of the area.
    const end = text.indexOf("\0");
    this.#text = end === -1 ? text : text.slice(0, end);
  }

  peek(): Token {
    this.#peeked ??= this.#read();
    return this.#peeked;
  }

  next(): Token {
    const token = this.peek();
    this.#peeked = undefined;
    return token;
  }

  fail(token: Token, expected: string): never {
    const found = token.kind === "end" ? "its end" : `"${printable(token.text, 20)}"`;
    throw imageCorrupt(this.#where, `${expected} is expected at character ${token.at}, and ${found} is there`);
  }

  #read(): Token {
    this.#count += 1;
    if (this.#count > maxTokens) throw imageCorrupt(this.#where, `it has more than ${maxTokens} parts`);
    this.#skipBlanks();
    const at = this.#at;
    if (at >= this.#text.length) return { kind: "end", at };
    if (this.#text[at] === '"') return { kind: "string", text: this.#readString(at), at };
    wordPattern.lastIndex = at;
    const [word] = wordPattern.exec(this.#text) ?? [];
    const text = word ?? this.#text.charAt(at);
    this.#at = at + text.length;
    return { kind: word === undefined ? "sign" : "word", text, at };
  }

  #skipBlanks(): void {
    while (this.#at < this.#text.length) {
      const letter = this.#text.charAt(this.#at);
      if (letter === "#") {
        const end = this.#text.indexOf("\n", this.#at);
        this.#at = end === -1 ? this.#text.length : end;
      } else if (letter === " " || letter === "\t" || letter === "\n" || letter === "\r") this.#at += 1;
      else return;
    }
  }

  #readString(at: number): string {
    let end = at + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === "\\" ? 2 : 1;
    if (end >= this.#text.length) throw imageCorrupt(this.#where, `the string at character ${at} does not end`);
    this.#at = end + 1;
    return this.#text.slice(at + 1, end).replaceAll(/\\(.)/gs, "$1");
  }
}

function isSign(token: Token, sign: string): boolean {
  return token.kind === "sign" && token.text === sign;
}

function parseSection(tokens: Tokens, depth: number): LvmSection {
  const values = new Map<string, LvmValue>();
  const sections = new Map<string, LvmSection>();
  for (;;) {
    const name = tokens.next();
    if (depth === 0 ? name.kind === "end" : isSign(name, "}")) return { values, sections };
    if (name.kind !== "word" && name.kind !== "string") tokens.fail(name, "a name");
    const sign = tokens.next();
    if (isSign(sign, "=")) {
      values.set(name.text, parseValue(tokens));
      continue;
    }
    if (!isSign(sign, "{")) tokens.fail(sign, '"=" or "{"');
    if (depth + 1 > maxDepth) tokens.fail(sign, `an end of more than ${maxDepth} layers`);
    sections.set(name.text, parseSection(tokens, depth + 1));
  }
}

function parseValue(tokens: Tokens): LvmValue {
  if (!isSign(tokens.peek(), "[")) return parseScalar(tokens);
  tokens.next();
  const list: LvmScalar[] = [];
  while (!isSign(tokens.peek(), "]")) {
    list.push(parseScalar(tokens));
    if (isSign(tokens.peek(), ",")) tokens.next();
    else if (!isSign(tokens.peek(), "]")) tokens.fail(tokens.peek(), '"," or "]"');
  }
  tokens.next();
  return list;
}

function parseScalar(tokens: Tokens): LvmScalar {
  const token = tokens.next();
  if (token.kind === "string") return token.text;
  if (token.kind === "word" && /^[+-]?\d+(?:\.\d+)?$/.test(token.text)) return Number(token.text);
  return tokens.fail(token, "a number or a string");
}
