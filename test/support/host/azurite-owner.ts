/** A program of its own that starts a storage region on the folder it is given, prints its process id, and waits. */
import { startAzurite } from "../../../local/azurite/azurite-process.ts";

const key = Buffer.from("a key of a test, and nothing else").toString("base64");
const azurite = await startAzurite({
  accounts: [{ name: "northacct", key }],
  ...(process.argv[2] === undefined ? {} : { dataFolder: process.argv[2] }),
});
process.stdout.write(`${JSON.stringify({ pid: azurite.pid, storage: azurite.connectionString("northacct") })}\n`);
