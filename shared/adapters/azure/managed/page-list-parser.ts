/**
 * The answer of Get Page Ranges, parsed as it comes: written and cleared ranges in the order of the disk, which interleave, with
 * inclusive ends. Memory: the text of one element. Whatever is not such an answer is refused.
 */
import { FarsideError } from "../../../core/errors.ts";
import type { ListedRange } from "../page-ranges.ts";

/** A marker is opaque; this is far above any that was seen. */
const longestText = 8192;
const sector = 512;

type Field = "Start" | "End" | "NextMarker";

export class PageListParser {
  /** Of the next page; empty at the last. Known when `end` has been called. */
  marker = "";
  #text = "";
  #open: string[] = [];
  #begun: { isClear: boolean; Start?: number; End?: number } | undefined;
  #nextByte = 0;
  #closed = false;

  /** The ranges that are whole with this piece of text. Throws `source-corrupt`. */
  *feed(piece: string): Generator<ListedRange> {
    this.#text += piece;
    for (;;) {
      const at = this.#text.indexOf("<");
      if (at < 0) break;
      const end = this.#text.indexOf(">", at);
      if (end < 0) break;
      const range = this.#element(this.#text.slice(0, at), this.#text.slice(at + 1, end));
      this.#text = this.#text.slice(end + 1);
      if (range !== undefined) yield range;
    }
    if (this.#text.length > longestText) refuse("an element without an end");
  }

  /** Throws `unavailable` where the answer was cut short. */
  end(): void {
    if (this.#closed && this.#text.trim() === "") return;
    throw new FarsideError("unavailable", "The list of page ranges ended early. It is asked for again later.");
  }

  #element(text: string, tag: string): ListedRange | undefined {
    if (tag.startsWith("?") && this.#open.length === 0) return undefined;
    if (tag.startsWith("/")) return this.#close(tag.slice(1).trim(), text);
    if (text.replace("\uFEFF", "").trim() !== "") refuse("text between elements");
    const isEmpty = tag.endsWith("/");
    const [name = ""] = (isEmpty ? tag.slice(0, -1) : tag).trim().split(/\s/);
    this.#enter(name);
    return isEmpty ? this.#close(name, "") : undefined;
  }

  #enter(name: string): void {
    const parent = this.#open.at(-1);
    const allowed =
      (parent === undefined && name === "PageList" && !this.#closed) ||
      (parent === "PageList" && (name === "PageRange" || name === "ClearRange" || name === "NextMarker")) ||
      ((parent === "PageRange" || parent === "ClearRange") && (name === "Start" || name === "End"));
    if (!allowed) refuse("an element that does not belong there");
    if (name === "PageRange" || name === "ClearRange") this.#begun = { isClear: name === "ClearRange" };
    this.#open.push(name);
  }

  #close(name: string, text: string): ListedRange | undefined {
    if (this.#open.pop() !== name) refuse("an element that ends where it is not");
    switch (name) {
      case "Start":
      case "End":
      case "NextMarker":
        this.#take(name, text.trim());
        return undefined;
      case "PageList":
        this.#closed = true;
        return undefined;
      default:
        if (text.trim() !== "") refuse("text between elements");
        return this.#range();
    }
  }

  #take(field: Field, text: string): void {
    if (field === "NextMarker") this.marker = decodeEntities(text);
    else if (!/^\d{1,15}$/.test(text)) refuse("a position that is no number");
    else if (this.#begun !== undefined) this.#begun[field] = Number(text);
  }

  #range(): ListedRange {
    const { isClear = false, Start: start, End: end } = this.#begun ?? {};
    if (start === undefined || end === undefined) return refuse("a range without a start or an end");
    if (end < start || start % sector !== 0 || (end + 1) % sector !== 0)
      return refuse("a range that is not of whole pages");
    if (start < this.#nextByte) return refuse("ranges that are not in order");
    this.#nextByte = end + 1;
    return { start, end, isClear };
  }
}

function decodeEntities(text: string): string {
  const known: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return text.replaceAll(/&(\w+);/g, (whole, name: string) => known[name] ?? whole);
}

function refuse(what: string): never {
  throw new FarsideError("source-corrupt", `The service's list of page ranges holds ${what}.`);
}
