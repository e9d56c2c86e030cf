/** What a demo claims, and whether it was true. */
export class Checks {
  readonly #made: { readonly what: string; readonly ok: boolean }[] = [];

  add(what: string, ok: boolean): void {
    this.#made.push({ what, ok });
  }

  /** A demo that checked nothing has shown nothing. */
  allTrue(): boolean {
    return this.#made.length > 0 && this.#made.every(({ ok }) => ok);
  }

  lines(): readonly string[] {
    return this.#made.map(({ what, ok }) => `${ok ? "true " : "FALSE"}  ${what}`);
  }
}
