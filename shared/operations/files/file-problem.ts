/** What is wrong with one file while the rest goes on, and lists of it that stay short. */
import type { ErrorCode, FarsideError } from "../../core/errors.ts";
import { hasCode } from "../../core/errors.ts";

export interface FileProblem {
  /** From the root of the volume. */
  readonly path: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** A list that an image may make as long as it likes: the first are told, the others counted. */
export interface Told<T> {
  readonly items: readonly T[];
  readonly untold: number;
}

const maxTold = 1000;

export class TellingList<T> {
  readonly #items: T[] = [];
  #untold = 0;

  add(item: T): void {
    if (this.#items.length < maxTold) this.#items.push(item);
    else this.#untold += 1;
  }

  get told(): Told<T> {
    return { items: this.#items, untold: this.#untold };
  }

  get count(): number {
    return this.#items.length + this.#untold;
  }
}

/** Whether an error belongs to the one thing that was read; others (an interruption, the network, a defect) end the whole. */
export function isOwnFault(error: unknown): error is FarsideError {
  return hasCode(error, "image-corrupt", "not-supported", "vault-corrupt");
}

export function fileProblem(path: readonly string[], error: FarsideError): FileProblem {
  return { path: pathText(path), code: error.code, message: error.message };
}

/** The path inside the volume, from its root. */
export function pathText(path: readonly string[]): string {
  return `/${path.join("/")}`;
}
