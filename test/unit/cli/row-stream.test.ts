import { expect, test } from "vitest";
import { Output } from "../../../cli/output.ts";
import { withRows } from "../../../cli/row-stream.ts";
import type { Verb } from "../../../cli/verb.ts";

interface Streamed {
  readonly out: string;
  readonly error: unknown;
  /** Whether the error has no place on standard output any more. */
  readonly hasDocument: boolean;
}

/** So many rows, then an error; `interruptAt`: Ctrl-C while this write is under way. */
async function stream(rows: number, failure: Error | undefined, interruptAt = Infinity): Promise<Streamed> {
  let out = "";
  let writes = 0;
  const interrupted = new AbortController();
  const shell = {
    environment: {},
    cwd: "/",
    out: (text: string) => (out += text),
    // As the one of a process: what was given is on its way, and nothing more is taken.
    write: async (bytes: Uint8Array) => {
      interrupted.signal.throwIfAborted();
      out += Buffer.from(bytes).toString();
      if (++writes === interruptAt) interrupted.abort(new Error("interrupted"));
      interrupted.signal.throwIfAborted();
    },
    err: () => undefined,
    outIsTerminal: false,
    errIsTerminal: false,
    signal: interrupted.signal,
  };
  const output = new Output(shell, { json: true, quiet: false });
  const verb: Verb = { shell, output, signal: shell.signal, dataFolder: undefined, verbose: false };
  let error: unknown;
  try {
    await withRows(verb, async (to) => {
      for (let count = 0; count < rows; count++) await to.add({ count, text: "x".repeat(1000) }, "");
      if (failure !== undefined) throw failure;
    });
  } catch (thrown) {
    error = thrown;
  }
  return { out, error, hasDocument: output.hasDocument };
}

test("Rows are one whole array, however many", async () => {
  for (const rows of [0, 1, 500]) {
    const { out, error } = await stream(rows, undefined);
    expect(error).toBeUndefined();
    expect(JSON.parse(out)).toHaveLength(rows);
  }
});

test("An error that comes before anything was written leaves the document to it", async () => {
  const failure = new Error("the network is gone");
  expect(await stream(3, failure)).toEqual({ out: "", error: failure, hasDocument: false });
});

test("An error that comes later ends the array, with every row that was found", async () => {
  const failure = new Error("the network is gone");
  const { out, error, hasDocument } = await stream(500, failure);
  expect({ error, hasDocument }).toEqual({ error: failure, hasDocument: true });
  expect(JSON.parse(out)).toHaveLength(500);
});

test("Ctrl-C leaves a whole array, whichever write it comes in", async () => {
  let writes = 0;
  for (let at = 1; writes === 0; at++) {
    const { out, error } = await stream(500, undefined, at);
    expect(Array.isArray(JSON.parse(out))).toBe(true);
    if (error === undefined) writes = at;
  }
  // The control: there was a write in the middle and one at the end.
  expect(writes).toBeGreaterThan(3);
});
