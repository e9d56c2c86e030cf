// Installs the dependencies where they are missing or out of date, so that `npm test` and `npm run demo` work on a
// fresh clone. Plain Node (20 or newer) and no package: it runs before there is any.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, "node_modules", ".farside-installed");
const lock = join(root, "package-lock.json");

// `npm install --no-save`, not `npm ci`: the lock file may lack the optional native packages of other platforms, which
// `ci` takes for a broken lock; `install` keeps every version the lock names and resolves what this platform misses.
if (existsSync(lock)) {
  // The platform is part of the stamp: a checkout shared between a Mac and a container needs other binaries in each.
  const wanted = createHash("sha256")
    .update(readFileSync(lock))
    .update(`${process.platform}-${process.arch}`)
    .digest("hex");
  const have = existsSync(stamp) ? readFileSync(stamp, "utf8") : "";
  if (have !== wanted) {
    process.stderr.write("Installing dependencies (npm install)…\n");
    const run = spawnSync("npm", ["install", "--no-save", "--no-audit", "--no-fund"], {
      cwd: root,
      stdio: ["ignore", 2, 2],
    });
    if (run.status !== 0) {
      process.stderr.write("The dependencies could not be installed: see npm's message above, then try again.\n");
      process.exit(1);
    }
    writeFileSync(stamp, wanted);
  }
}
