/** A program of its own that runs the app's host with the settings it is given, prints where its API is, and waits to be killed. */
import { startHost } from "../../../local/host/host.ts";
import { findAppFolder } from "../../../local/stack/app-build.ts";
import { benchTimings } from "./timings.ts";

const host = await startHost({
  appFolder: findAppFolder(),
  settings: JSON.parse(process.argv[2] ?? "{}") as Record<string, string>,
  port: 0,
  hostId: "faults",
  log: () => undefined,
  timings: benchTimings,
});
const { url, hostKey, workerPid } = host;
process.stdout.write(`${JSON.stringify({ url, hostKey, workerPid })}\n`);
