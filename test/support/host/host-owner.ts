/** A program of its own that runs a host on the app folder and the storage it is given, until it is killed. */
import { startHost } from "../../../local/host/host.ts";

const [appFolder = "", storage = ""] = process.argv.slice(2);
await startHost({
  appFolder,
  settings: { AzureWebJobsStorage: storage },
  port: 0,
  log: () => undefined,
  timings: { queueVisibilityMs: 4000 },
});
