import type { Check } from "../check.ts";
import { readBytes } from "../sas.ts";

const mebibyte = 1024 ** 2;
const atOnce = 4;

export const readThroughput: Check = {
  name: "read-throughput",
  question: "How fast is a snapshot read by its SAS, from here?",
  assumed: "nothing relies on it; 60 MiB/s are documented for uploads",
  relies: { file: "shared/config/limits.ts", line: '"FARSIDE_WINDOW_BYTES"' },
  async ask(stage, signal) {
    const { second } = await stage.generations(signal);
    const { offset, length } = stage.readable;
    return stage.withSas(
      [second.snapshotId],
      async ([url = ""]) => {
        const started = performance.now();
        const pieces = [...Array(length / mebibyte).keys()];
        const worker = async (): Promise<void> => {
          for (let i = pieces.shift(); i !== undefined; i = pieces.shift()) {
            await readBytes(url, { offset: offset + i * mebibyte, length: mebibyte }, signal);
          }
        };
        await Promise.all(Array.from({ length: atOnce }, worker));
        const rate = length / mebibyte / ((performance.now() - started) / 1000);
        return { verdict: "answered", found: `${rate.toFixed(0)} MiB/s with ${atOnce} reads of 1 MiB at once` };
      },
      signal,
    );
  },
};
