// Starts the command line under a Node that can run it: this one where it is new enough, else the one that the
// dev dependency `node` brings. In a checkout it runs the TypeScript itself, elsewhere the bundle.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "cli/main.ts");
const inCheckout = existsSync(source);

if (inCheckout && !existsSync(join(root, "node_modules", ".farside-installed"))) {
  const install = spawnSync(process.execPath, [join(root, "scripts/install.mjs")], { stdio: ["ignore", 2, 2] });
  if (install.status !== 0) process.exit(1);
}

const entry = inCheckout ? source : join(root, "dist/cli.js");
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
// 22.18 is the first that runs TypeScript unasked and has zstd in node:zlib.
const newEnough = major > 23 || (major === 22 && minor >= 18);
if (newEnough) {
  await import(pathToFileURL(entry).href);
} else {
  const bundled = join(root, "node_modules/node/bin/node");
  if (!existsSync(bundled)) {
    process.stderr.write(
      `farside needs Node.js 22.18 or newer and this is ${process.versions.node}: install a newer Node.js.\n`,
    );
    process.exit(1);
  }
  const child = spawn(bundled, [...process.execArgv, entry, ...process.argv.slice(2)], { stdio: "inherit" });
  // A Ctrl-C reaches the whole process group by itself; a signal sent to this process alone has to be handed on.
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  process.on("SIGINT", () => undefined);
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
