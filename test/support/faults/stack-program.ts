/** A program of its own that runs the whole stack on the folder it is given, prints where its API is, and waits to be killed. */
import { startStack } from "../../../local/stack/stack.ts";
import { benchTimings, shortHostJson } from "./timings.ts";

const stack = await startStack({
  dataFolder: process.argv[2] ?? "",
  log: () => undefined,
  timings: benchTimings,
  // A window for each GiB that holds something.
  settings: { ...shortHostJson, FARSIDE_WINDOW_BYTES: String(1024 * 1024) },
});
const { apiUrl, apiKey, host } = stack;
process.stdout.write(`${JSON.stringify({ url: apiUrl, hostKey: apiKey, workerPid: host.workerPid })}\n`);
