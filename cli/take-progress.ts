/** A line on the terminal while files are taken out; how much there is in all is known only at the end. */
import type { TakeCounts } from "../shared/operations/files/take-report.ts";
import { formatBytes } from "./format.ts";
import type { Output } from "./output.ts";

const redrawMs = 200;

export class TakeProgress {
  readonly #output: Output;
  readonly #startedAt = performance.now();
  #drawnAt = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  readonly show = ({ files, bytes }: TakeCounts): void => {
    const now = performance.now();
    if (!this.#output.drawsProgress || now - this.#drawnAt < redrawMs) return;
    this.#drawnAt = now;
    const seconds = (now - this.#startedAt) / 1000;
    const rate = seconds > 0 ? bytes / seconds : 0;
    this.#output.draw(`\r\u001b[K${files} files, ${formatBytes(bytes)}  ${formatBytes(rate)}/s`);
  };

  end(): void {
    if (this.#drawnAt > 0) this.#output.draw("\r\u001b[K");
    this.#drawnAt = 0;
  }
}
