/**
 * How Azurite is run: its command line, its environment, its limits.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { FarsideError } from "../../shared/core/errors.ts";
import type { Ports } from "./folder-claim.ts";

export interface AzuriteAccount {
  /** 3 to 24 lower-case letters and digits. Two regions must not share a name: a copy between them would go wrong. */
  readonly name: string;
  /** Base64. */
  readonly key: string;
}

const memoryLimitMiB = 2048;
// A download of a fragmented page blob opens one file per range at once; with the usual 1024 it hangs for ever.
const openFiles = `ulimit -S -n 20000 2>/dev/null || ulimit -S -n "$(ulimit -H -n)" 2>/dev/null; exec "$0" "$@"`;
/**
 * Loaded into Azurite before it.
 *
 * 1. When the pipe to the parent closes, it ends itself as by SIGTERM, which saves its data. The pipe must not keep
 *    alive an Azurite that has closed its servers (unref).
 * 2. Its farewell to a standard output that nobody reads any more must not kill it before it has saved.
 * 3. It listens to the first SIGTERM only; a second one would kill it while it saves.
 */
const caretaker = `
for (const stream of [process.stdin, process.stdout, process.stderr]) stream.on("error", () => {});
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM")).resume().unref();
let saving = false;
process.on("SIGTERM", () => {
  if (process.listenerCount("SIGTERM") > 1) saving = true;
  else if (!saving) process.exit(0);
});
`;

/** @param folder for the data; undefined: in memory. */
export function spawnAzurite(
  accounts: readonly AzuriteAccount[],
  folder: string | undefined,
  ports: Ports,
): ChildProcess {
  const packageJson = createRequire(import.meta.url).resolve("azurite/package.json");
  const entry = join(dirname(packageJson), "dist/src/azurite.js");
  const place =
    folder === undefined
      ? ["--inMemoryPersistence", "--extentMemoryLimit", String(memoryLimitMiB)]
      : ["--location", folder];
  const services = (["blob", "queue", "table"] as const).flatMap((service) => [
    `--${service}Host`,
    "127.0.0.1",
    `--${service}Port`,
    String(ports[service]),
    // Its default of 5 s closes connections that a client is about to use again.
    `--${service}KeepAliveTimeout`,
    "600",
  ]);
  // The storage clients speak newer API versions than Azurite knows; without the flag it refuses every request.
  // Never --loose: it would hide what Azurite cannot do.
  const flags = ["--skipApiVersionCheck", "--disableTelemetry", "--silent"];
  const command = [
    process.execPath,
    "--import",
    `data:text/javascript,${encodeURIComponent(caretaker)}`,
    entry,
    ...place,
    ...services,
    ...flags,
  ];
  // Its own settings must not come from the environment: AZURITE_DB, for one, is a store without page blobs.
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith("AZURITE_"));
  return spawn("/bin/sh", ["-c", openFiles, ...command], {
    cwd: folder ?? tmpdir(),
    env: {
      ...Object.fromEntries(environment),
      AZURITE_ACCOUNTS: accounts.map(({ name, key }) => `${name}:${key}`).join(";"),
    },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
}

/**
 * A malformed account is silently replaced by Azurite's well-known one, so it is refused here.
 * @throws FarsideError `bad-configuration`
 */
export function checkAccount({ name, key }: AzuriteAccount): void {
  if (!/^[a-z0-9]{3,24}$/.test(name)) {
    throw new FarsideError(
      "bad-configuration",
      `The storage account name ${JSON.stringify(name)} is not allowed: use 3 to 24 lower-case letters and digits.`,
    );
  }
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(key) || key.length % 4 !== 0) {
    throw new FarsideError("bad-configuration", `The key of the storage account ${name} is not Base64.`);
  }
}
