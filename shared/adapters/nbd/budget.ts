/**
 * So many units for those who share it; who asks waits until they are free, in the order of asking. Nobody may ask for more than there
 * are.
 */
export class Budget {
  readonly size: number;
  #free: number;
  readonly #waiting: { readonly units: number; readonly enter: () => void }[] = [];

  constructor(size: number) {
    this.size = size;
    this.#free = size;
  }

  /** Holds the units while the work is done. */
  async using<T>(units: number, work: () => Promise<T>): Promise<T> {
    await this.take(units);
    try {
      return await work();
    } finally {
      this.give(units);
    }
  }

  async take(units: number): Promise<void> {
    if (units > this.size) throw new RangeError(`${units} of ${this.size} were asked for.`);
    if (this.#waiting.length === 0 && units <= this.#free) {
      this.#free -= units;
      return;
    }
    await new Promise<void>((enter) => {
      this.#waiting.push({ units, enter });
    });
  }

  give(units: number): void {
    this.#free += units;
    for (let first = this.#waiting[0]; first !== undefined && first.units <= this.#free; first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#free -= first.units;
      first.enter();
    }
  }
}
