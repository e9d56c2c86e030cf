/** A line on the terminal that says how far it is: bytes, rate, time left. Elsewhere it says nothing. */
import { formatBytes, formatSeconds } from "./format.ts";
import type { Output } from "./output.ts";

const redrawMs = 200;

export class Progress {
  readonly #output: Output;
  readonly #label: string;
  readonly #totalBytes: number;
  readonly #startedAt = performance.now();
  #doneBytes = 0;
  #drawnAt = 0;

  constructor(output: Output, label: string, totalBytes: number) {
    this.#output = output;
    this.#label = label;
    this.#totalBytes = totalBytes;
  }

  add(bytes: number): void {
    this.#doneBytes += bytes;
    const now = performance.now();
    if (!this.#output.drawsProgress || now - this.#drawnAt < redrawMs) return;
    this.#drawnAt = now;
    const seconds = (now - this.#startedAt) / 1000;
    const rate = seconds > 0 ? this.#doneBytes / seconds : 0;
    const share = this.#totalBytes === 0 ? 100 : Math.floor((100 * this.#doneBytes) / this.#totalBytes);
    const left = rate > 0 ? formatSeconds((this.#totalBytes - this.#doneBytes) / rate) : "?";
    this.#output.draw(
      `\r\u001b[K${this.#label}  ${formatBytes(this.#doneBytes)} of ${formatBytes(this.#totalBytes)}  ${share} %  ${formatBytes(rate)}/s  ${left} left`,
    );
  }

  end(): void {
    if (this.#drawnAt > 0) this.#output.draw("\r\u001b[K");
  }
}
