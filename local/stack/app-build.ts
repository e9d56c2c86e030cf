/** The compiled app that the host loads: built anew in a checkout whenever a source is newer; as it is in an install. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { FarsideError } from "../../shared/core/errors.ts";

/** With package.json and host.json. From a source file two folders up, from the bundle (dist/cli.js) one. */
export function findAppFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json")) && existsSync(join(folder, "host.json"))) return folder;
  }
  throw new FarsideError("internal", "The app's folder, with package.json and host.json, was not found.");
}

const sourceFolders = ["functions", "shared"];

/** Whether it was built. */
export async function buildIfNeeded(appFolder: string, signal: AbortSignal): Promise<boolean> {
  const bundle = join(appFolder, "dist/index.cjs");
  const inCheckout = existsSync(join(appFolder, "functions/main.ts"));
  if (!inCheckout || (existsSync(bundle) && newestSource(appFolder) <= statSync(bundle).mtimeMs)) return false;
  await build(appFolder, signal);
  return true;
}

function newestSource(appFolder: string): number {
  const files = sourceFolders.flatMap((folder) =>
    readdirSync(join(appFolder, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => resolve(entry.parentPath, entry.name)),
  );
  return Math.max(...[...files, join(appFolder, "scripts/build.mjs")].map((file) => statSync(file).mtimeMs));
}

function build(appFolder: string, signal: AbortSignal): Promise<void> {
  const child = spawn(process.execPath, [join(appFolder, "scripts/build.mjs")], {
    cwd: appFolder,
    stdio: ["ignore", "ignore", "pipe"],
    signal,
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-4000);
  });
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("close", (code) => {
      if (code === 0) done();
      else failed(new FarsideError("internal", `The app could not be built: ${said.trim()}`));
    });
  });
}
